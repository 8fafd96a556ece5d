package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes SSE floating-point arithmetic, comparison and conversion of map 0F. */
final class SseArithmetic {
  /** Operand shapes, by mandatory prefix: PS, PD, SS, SD. */
  static final int PS = Instruction.PREFIX_NONE;

  static final int PD = Instruction.PREFIX_66;
  static final int SS = Instruction.PREFIX_F3;
  static final int SD = Instruction.PREFIX_F2;

  private SseArithmetic() {}

  static @Nullable MicroOp decode(Instruction i) {
    return switch (i.opcode) {
      case 0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F -> new Binary(i);
      case 0x52, 0x53 -> i.prefix == PS || i.prefix == SS ? new Estimate(i) : null;
      case 0x2E, 0x2F -> i.prefix == PS || i.prefix == PD ? new Order(i) : null;
      case 0xC2 -> new Compare(i, (int) i.immediate(1));
      case 0x7C, 0x7D, 0xD0 -> i.prefix == PD || i.prefix == SD ? new Horizontal(i) : null;
      default -> SseConversions.decode(i);
    };
  }

  /** An operation that may raise SIMD floating-point exceptions. */
  abstract static class FloatOp extends SseOp {
    /** Exceptions found before computing. */
    private static final int BEFORE =
        FloatUnit.INVALID | FloatUnit.DENORMAL | FloatUnit.DIVIDE_BY_ZERO;

    final int shape;

    FloatOp(Instruction i) {
      super(i);
      shape = i.prefix;
    }

    @Override
    final int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      FpuState f = c.fpu;
      f.unit.flags = 0;
      if (!compute(c, f)) {
        return FAULT;
      }
      if (faults(c, f)) {
        return FAULT;
      }
      commit(c, f);
      return NEXT;
    }

    /** Has the exceptions raised seen in MXCSR; whether one is unmasked, which is pending then. */
    static boolean faults(Vcpu c, FpuState f) {
      int raised = f.unit.flags;
      if ((raised & BEFORE & ~(f.mxcsr >> 7)) != 0) {
        raised &= BEFORE; // nothing was computed
      }
      f.mxcsr |= raised;
      if ((raised & ~(f.mxcsr >> 7)) == 0) {
        return false;
      }
      simdException(c);
      return true;
    }

    /** Leaves the result in {@code f.low} and {@code f.high}; false with a fault pending. */
    abstract boolean compute(Vcpu c, FpuState f);

    /** Writes the result, once it is known that no unmasked exception was raised. */
    void commit(Vcpu c, FpuState f) {
      c.xmm[target] = f.low;
      c.xmm[target + 1] = f.high;
    }

    final boolean scalar() {
      return shape == SS || shape == SD;
    }

    /** Size of a scalar operand in bytes. */
    final int scalarBytes() {
      return shape == SD || shape == PD ? 8 : 4;
    }

    /** Reads what the shape needs; a scalar leaves the target's upper part in high. */
    final boolean readOperand(Vcpu c, FpuState f) {
      if (!scalar()) {
        return read(c);
      }
      f.low = readLow(c, shape == SS ? 4 : 8);
      f.high = c.xmm[target + 1];
      return c.fault == 0;
    }
  }

  /** Two floats in a half. */
  static long pair(int low, int high) {
    return low & 0xFFFF_FFFFL | (long) high << 32;
  }

  static int upper(long half) {
    return (int) (half >>> 32);
  }

  /** ADD, SUB, MUL, DIV, MIN, MAX and SQRT in all four shapes. */
  static final class Binary extends FloatOp {
    final int operation;

    Binary(Instruction i) {
      super(i);
      operation = i.opcode;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (!readOperand(c, f)) {
        return false;
      }
      long low = c.xmm[target];
      long high = c.xmm[target + 1];
      switch (shape) {
        case SD -> f.low = SseFloat.binary64(f, operation, low, f.low);
        case SS ->
            f.low = Lanes.withLow32(low, SseFloat.binary32(f, operation, (int) low, (int) f.low));
        case PD -> {
          f.low = SseFloat.binary64(f, operation, low, f.low);
          f.high = SseFloat.binary64(f, operation, high, f.high);
        }
        default -> {
          f.low = pairwise(f, low, f.low);
          f.high = pairwise(f, high, f.high);
        }
      }
      return true;
    }

    private long pairwise(FpuState f, long a, long b) {
      int low = SseFloat.binary32(f, operation, (int) a, (int) b);
      return pair(low, SseFloat.binary32(f, operation, upper(a), upper(b)));
    }
  }

  /** HADD, HSUB and ADDSUB. */
  private static final class Horizontal extends FloatOp {
    private final int opcode;

    Horizontal(Instruction i) {
      super(i);
      opcode = i.opcode;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (!read(c)) {
        return false;
      }
      long aLow = c.xmm[target];
      long aHigh = c.xmm[target + 1];
      long bLow = f.low;
      long bHigh = f.high;
      int operation = opcode == 0x7C ? SseFloat.ADD : SseFloat.SUB;
      if (opcode == 0xD0) {
        f.low =
            shape == PD ? SseFloat.binary64(f, SseFloat.SUB, aLow, bLow) : addSub(f, aLow, bLow);
        f.high =
            shape == PD
                ? SseFloat.binary64(f, SseFloat.ADD, aHigh, bHigh)
                : addSub(f, aHigh, bHigh);
      } else if (shape == PD) {
        f.low = SseFloat.binary64(f, operation, aLow, aHigh);
        f.high = SseFloat.binary64(f, operation, bLow, bHigh);
      } else {
        f.low = pair(across(f, operation, aLow), across(f, operation, aHigh));
        f.high = pair(across(f, operation, bLow), across(f, operation, bHigh));
      }
      return true;
    }

    private static int across(FpuState f, int operation, long half) {
      return SseFloat.binary32(f, operation, (int) half, upper(half));
    }

    private static long addSub(FpuState f, long a, long b) {
      int low = SseFloat.binary32(f, SseFloat.SUB, (int) a, (int) b);
      return pair(low, SseFloat.binary32(f, SseFloat.ADD, upper(a), upper(b)));
    }
  }

  /** CMPPS and its kin: all ones where the predicate holds. */
  private static final class Compare extends FloatOp {
    private final int predicate;

    Compare(Instruction i, int predicate) {
      super(i);
      this.predicate = predicate & 7;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (!readOperand(c, f)) {
        return false;
      }
      long low = c.xmm[target];
      long high = c.xmm[target + 1];
      switch (shape) {
        case SD -> f.low = mask64(f, low, f.low);
        case SS -> f.low = Lanes.withLow32(low, mask32(f, (int) low, (int) f.low));
        case PD -> {
          f.low = mask64(f, low, f.low);
          f.high = mask64(f, high, f.high);
        }
        default -> {
          f.low = masks(f, low, f.low);
          f.high = masks(f, high, f.high);
        }
      }
      return true;
    }

    /** EQ, UNORD, NEQ and ORD accept quiet NaNs. */
    private boolean quiet() {
      return (predicate & 3) == 0 || (predicate & 3) == 3;
    }

    private boolean holds(int order) {
      boolean positive =
          switch (predicate & 3) {
            case 0 -> order == 0;
            case 1 -> order == -1;
            case 2 -> order <= 0;
            default -> order == 2;
          };
      return positive == (predicate < 4);
    }

    private long mask64(FpuState f, long a, long b) {
      return holds(SseFloat.compare64(f, a, b, quiet())) ? -1 : 0;
    }

    private int mask32(FpuState f, int a, int b) {
      return holds(SseFloat.compare32(f, a, b, quiet())) ? -1 : 0;
    }

    private long masks(FpuState f, long a, long b) {
      int low = mask32(f, (int) a, (int) b);
      return pair(low, mask32(f, upper(a), upper(b)));
    }
  }

  /** UCOMISS, UCOMISD, COMISS and COMISD. */
  static final class Order extends FloatOp {
    final boolean quiet;

    Order(Instruction i) {
      super(i);
      quiet = i.opcode == 0x2E;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      long a = c.xmm[target];
      long b = readLow(c, scalarBytes());
      if (c.fault != 0) {
        return false;
      }
      f.low =
          shape == PD
              ? SseFloat.compare64(f, a, b, quiet)
              : SseFloat.compare32(f, (int) a, (int) b, quiet);
      return true;
    }

    @Override
    void commit(Vcpu c, FpuState f) {
      c.flags.setStatus(status((int) f.low));
    }
  }

  /** The status flags that stand for an order, as {@link SseFloat#compare64} answers it. */
  static int status(int order) {
    return switch (order) {
      case -1 -> Flags.CF;
      case 0 -> Flags.ZF;
      case 1 -> 0;
      default -> Flags.ZF | Flags.PF | Flags.CF;
    };
  }

  /**
   * RCPPS, RSQRTPS and their scalars. The manual bounds the relative error by 1.5 * 2^-12 and
   * leaves the bits open; here they are the exact values rounded to 12 bits, and there are no
   * exceptions.
   */
  private static final class Estimate extends FloatOp {
    private final boolean root;

    Estimate(Instruction i) {
      super(i);
      root = i.opcode == 0x52;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (!readOperand(c, f)) {
        return false;
      }
      if (shape == SS) {
        f.low = Lanes.withLow32(c.xmm[target], estimate((int) f.low));
      } else {
        f.low = pair(estimate((int) f.low), estimate(upper(f.low)));
        f.high = pair(estimate((int) f.high), estimate(upper(f.high)));
      }
      return true;
    }

    private int estimate(int bits) {
      if (SseFloat.isNan(bits)) {
        return bits | 1 << 22;
      }
      boolean tiny = (bits & 0x7F80_0000) == 0;
      float x = Float.intBitsToFloat(tiny ? bits & Integer.MIN_VALUE : bits);
      if (root && x < 0) {
        return 0xFFC0_0000;
      }
      float exact = (float) (root ? 1 / Math.sqrt(x) : 1 / (double) x);
      int result = Float.floatToRawIntBits(exact);
      if ((result & 0x7F80_0000) == 0) {
        return result & Integer.MIN_VALUE;
      }
      boolean finite = (result & 0x7F80_0000) != 0x7F80_0000;
      return finite ? result + 0x400 & ~0x7FF : result;
    }
  }
}
