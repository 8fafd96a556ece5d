package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Loads, stores, exchanges, constants and conditional moves of x87. */
final class X87MoveOps {
  /** Memory formats. */
  private static final int SINGLE = 0;

  private static final int DOUBLE = 1;
  private static final int EXTENDED = 2;
  private static final int INT16 = 3;
  private static final int INT32 = 4;
  private static final int INT64 = 5;
  private static final int DECIMAL = 6;

  private static final int[] SIZES = {4, 8, 10, 2, 4, 8, 10};

  private X87MoveOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    return i.isMemory() ? memory(i) : register(i);
  }

  private static @Nullable MicroOp memory(Instruction i) {
    return switch ((i.opcode & 7) << 4 | i.extension()) {
      case 0x10 -> new Load(i, SINGLE);
      case 0x12 -> new Store(i, SINGLE, false);
      case 0x13 -> new Store(i, SINGLE, true);
      case 0x30 -> new Load(i, INT32);
      case 0x31 -> new StoreInteger(i, INT32, true, true);
      case 0x32 -> new StoreInteger(i, INT32, false, false);
      case 0x33 -> new StoreInteger(i, INT32, false, true);
      case 0x35 -> new Load(i, EXTENDED);
      case 0x37 -> new StoreExtended(i);
      case 0x50 -> new Load(i, DOUBLE);
      case 0x51 -> new StoreInteger(i, INT64, true, true);
      case 0x52 -> new Store(i, DOUBLE, false);
      case 0x53 -> new Store(i, DOUBLE, true);
      case 0x70 -> new Load(i, INT16);
      case 0x71 -> new StoreInteger(i, INT16, true, true);
      case 0x72 -> new StoreInteger(i, INT16, false, false);
      case 0x73 -> new StoreInteger(i, INT16, false, true);
      case 0x74 -> new Load(i, DECIMAL);
      case 0x75 -> new Load(i, INT64);
      case 0x76 -> new StoreDecimal(i);
      case 0x77 -> new StoreInteger(i, INT64, false, true);
      default -> null;
    };
  }

  private static @Nullable MicroOp register(Instruction i) {
    int selector = (i.opcode & 7) << 4 | i.extension();
    return switch (selector) {
      case 0x10 -> new LoadRegister(i);
      case 0x11, 0x51, 0x71 -> new Exchange(i);
      case 0x13, 0x52, 0x53, 0x72, 0x73 -> new StoreRegister(i, selector != 0x52);
      case 0x15 -> (i.rm & 7) == 7 ? null : new Constant(i);
      case 0x20, 0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33 -> new ConditionalMove(i);
      case 0x50, 0x70 -> new Free(i, selector == 0x70);
      default -> null;
    };
  }

  /** FLD, FILD and FBLD. */
  private static final class Load extends X87Op {
    private final int format;

    Load(Instruction i, int format) {
      super(i);
      this.format = format;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      long gva = address(c, SIZES[format], false);
      long bits = c.load(gva, Math.min(SIZES[format], 8));
      int upper = c.fault == 0 && SIZES[format] == 10 ? (int) c.load16(gva + 8) : 0;
      if (c.fault != 0 || !room(f)) {
        return;
      }
      if (format == EXTENDED) {
        push(f, upper, bits);
        return;
      }
      FloatUnit u = unit(f);
      switch (format) {
        case SINGLE -> u.a.setFloat((int) bits);
        case DOUBLE -> u.a.setDouble(bits);
        case INT16 -> u.a.setLong((short) bits);
        case INT32 -> u.a.setLong((int) bits);
        case INT64 -> u.a.setLong(bits);
        default -> PackedDecimal.load(u.a, bits, upper);
      }
      if (!nan(u, u.a, u.a)) {
        u.convert();
      }
      roundExtended(f);
      raiseUnit(f);
      // An unmasked denormal is loaded all the same; only a signalling NaN is not.
      if ((u.flags & FloatUnit.INVALID & ~u.masks) == 0) {
        push(f, u.toSignExponent(), u.toSignificand());
      }
    }
  }

  /** FST and FSTP to a float or double. */
  private static final class Store extends X87Op {
    private final boolean wide;
    private final boolean pops;

    Store(Instruction i, int format, boolean pops) {
      super(i);
      wide = format == DOUBLE;
      this.pops = pops;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int size = wide ? 8 : 4;
      long gva = address(c, size, true);
      FloatUnit u = unit(f);
      u.wraps = false;
      boolean empty = isEmpty(f, 0);
      if (empty) {
        u.setNan(null);
      } else {
        load(f, u.a, 0);
        convert(u);
        // A denormal operand is no exception of a store.
        u.flags &= ~FloatUnit.DENORMAL;
      }
      boolean unmasked =
          (u.flags & ~u.masks & ~FloatUnit.PRECISION) != 0
              || empty && (u.masks & FloatUnit.INVALID) == 0;
      if (unmasked) {
        u.flags &= ~FloatUnit.PRECISION;
      }
      if (!unmasked) {
        c.store(gva, size, wide ? u.toDouble() : u.toFloat());
      } else {
        c.checkWrite(gva, size);
      }
      if (c.fault != 0) {
        return;
      }
      if (empty) {
        underflow(f);
      } else {
        raiseUnit(f);
      }
      if (pops && !unmasked) {
        pop(f);
      }
    }

    private void convert(FloatUnit u) {
      if (!nan(u, u.a, u.a)) {
        u.convert();
      }
      if (wide) {
        u.round(53, -1022, 1023);
      } else {
        u.round(24, -126, 127);
      }
    }
  }

  /** FSTP m80: the bits as they are. */
  private static final class StoreExtended extends X87Op {
    StoreExtended(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      long gva = address(c, 10, true);
      boolean empty = isEmpty(f, 0);
      if (empty && (f.control & FloatUnit.INVALID) == 0) {
        underflow(f);
        return;
      }
      int r = f.top;
      if (c.checkWrite(gva, 10)) {
        c.store64(gva, empty ? 3L << 62 : f.significand[r]);
        c.store16(gva + 8, empty ? 0xFFFF : f.signExponent[r]);
      }
      if (c.fault != 0) {
        return;
      }
      if (empty) {
        underflow(f);
      }
      f.statusBits &= ~C1;
      pop(f);
    }
  }

  /** FIST, FISTP and FISTTP. */
  private static final class StoreInteger extends X87Op {
    private final int size;
    private final boolean truncates;
    private final boolean pops;

    StoreInteger(Instruction i, int format, boolean truncates, boolean pops) {
      super(i);
      size = SIZES[format];
      this.truncates = truncates;
      this.pops = pops;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      long gva = address(c, size, true);
      FloatUnit u = unit(f);
      boolean empty = isEmpty(f, 0);
      long value = Long.MIN_VALUE >> 64 - 8 * size;
      if (!empty) {
        load(f, u.a, 0);
        value = u.toInteger(8 * size, truncates ? FloatUnit.ZERO : u.mode);
      }
      boolean invalid = empty || (u.flags & FloatUnit.INVALID) != 0;
      boolean unmasked = invalid && (u.masks & FloatUnit.INVALID) == 0;
      if (unmasked) {
        c.checkWrite(gva, size);
      } else {
        c.store(gva, size, value);
      }
      if (c.fault != 0) {
        return;
      }
      if (empty) {
        underflow(f);
      } else {
        raiseUnit(f);
      }
      if (pops && !unmasked) {
        pop(f);
      }
    }
  }

  /** FBSTP. */
  private static final class StoreDecimal extends X87Op {
    StoreDecimal(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      long gva = address(c, 10, true);
      FloatUnit u = unit(f);
      boolean empty = isEmpty(f, 0);
      boolean invalid = empty;
      long value = 0;
      if (!empty) {
        load(f, u.a, 0);
        value = u.toInteger(64, u.mode);
        invalid = (u.flags & FloatUnit.INVALID) != 0 || !PackedDecimal.holds(value);
      }
      if (invalid) {
        u.flags = FloatUnit.INVALID;
      }
      boolean unmasked = invalid && (u.masks & FloatUnit.INVALID) == 0;
      if (c.checkWrite(gva, 10) && !unmasked) {
        c.store64(gva, invalid ? 3L << 62 : PackedDecimal.digits(Math.abs(value)));
        c.store16(gva + 8, invalid ? 0xFFFF : PackedDecimal.top(Math.abs(value), u.a.negative));
      }
      if (c.fault != 0) {
        return;
      }
      if (empty) {
        underflow(f);
      } else {
        raiseUnit(f);
      }
      if (!unmasked) {
        pop(f);
      }
    }
  }

  /** FLD ST(i). */
  private static final class LoadRegister extends X87Op {
    private final int index;

    LoadRegister(Instruction i) {
      super(i);
      index = i.rm & 7;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int r = physical(f, index);
      if (f.isEmpty(r)) {
        if (underflow(f)) {
          push(f, 0xFFFF, 3L << 62);
        }
      } else if (room(f)) {
        push(f, f.signExponent[r], f.significand[r]);
      }
    }
  }

  /** FST ST(i) and FSTP ST(i). */
  private static final class StoreRegister extends X87Op {
    private final int index;
    private final boolean pops;

    StoreRegister(Instruction i, boolean pops) {
      super(i);
      index = i.rm & 7;
      this.pops = pops;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (isEmpty(f, 0)) {
        if (!underflow(f)) {
          return;
        }
        setDefaultNan(f, index);
      } else {
        f.statusBits &= ~C1;
        set(f, index, f.signExponent[f.top], f.significand[f.top]);
      }
      if (pops) {
        pop(f);
      }
    }
  }

  /** FXCH. */
  private static final class Exchange extends X87Op {
    private final int index;

    Exchange(Instruction i) {
      super(i);
      index = i.rm & 7;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      boolean first = isEmpty(f, 0);
      boolean second = isEmpty(f, index);
      if (first || second) {
        if (!underflow(f)) {
          return;
        }
        if (first) {
          setDefaultNan(f, 0);
        }
        if (second) {
          setDefaultNan(f, index);
        }
      }
      f.statusBits &= ~C1;
      int r = physical(f, index);
      int signExponent = f.signExponent[r];
      long significand = f.significand[r];
      set(f, index, f.signExponent[f.top], f.significand[f.top]);
      set(f, 0, signExponent, significand);
    }
  }

  /** FFREE, and FFREEP, which pops as well. */
  private static final class Free extends X87Op {
    private final int index;
    private final boolean pops;

    Free(Instruction i, boolean pops) {
      super(i);
      index = i.rm & 7;
      this.pops = pops;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      f.statusBits &= ~C1;
      f.setEmpty(physical(f, index), true);
      if (pops) {
        pop(f);
      }
    }
  }

  /** FCMOVcc. */
  private static final class ConditionalMove extends X87Op {
    private final int index;
    private final int condition;
    private final boolean negated;

    ConditionalMove(Instruction i) {
      super(i);
      index = i.rm & 7;
      condition = i.extension();
      negated = i.opcode == 0xDB;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (isEmpty(f, 0) || isEmpty(f, index)) {
        if (underflow(f)) {
          setDefaultNan(f, 0);
        }
        return;
      }
      // B, E, BE and U are conditions 2, 4, 6 and 10 of Jcc.
      int cc = condition == 3 ? 10 : 2 * condition + 2;
      if (c.flags.condition(cc) != negated) {
        int r = physical(f, index);
        set(f, 0, f.signExponent[r], f.significand[r]);
      }
    }
  }

  /** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2 and FLDZ. */
  private static final class Constant extends X87Op {
    private static final int[] EXPONENTS = {0x3FFF, 0x4000, 0x3FFF, 0x4000, 0x3FFD, 0x3FFE, 0};

    /** Rounded to nearest. */
    private static final long[] SIGNIFICANDS = {
      Long.MIN_VALUE,
      0xD49A784BCD1B8AFEL,
      0xB8AA3B295C17F0BCL,
      0xC90FDAA22168C235L,
      0x9A209A84FBCFF799L,
      0xB17217F7D1CF79ACL,
      0
    };

    private final int which;

    Constant(Instruction i) {
      super(i);
      which = i.rm & 7;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (!room(f)) {
        return;
      }
      int mode = f.control >> 10 & 3;
      long significand = SIGNIFICANDS[which];
      // FLDL2T's nearest value is below the exact one, the others' are above.
      if (which == 1) {
        significand += mode == FloatUnit.UP ? 1 : 0;
      } else if (which >= 2 && which <= 5) {
        significand -= mode == FloatUnit.DOWN || mode == FloatUnit.ZERO ? 1 : 0;
      }
      push(f, EXPONENTS[which], significand);
    }
  }
}
