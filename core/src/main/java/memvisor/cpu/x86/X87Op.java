package memvisor.cpu.x86;

/**
 * A waiting x87 operation: raises #MF for an exception left by an earlier one, then does its work.
 *
 * <p>Exceptions of the operation itself only set the status word. An unmasked invalid, denormal or
 * zero-divide exception leaves operands as they were; overflow and underflow store a result whose
 * exponent is wrapped (Intel SDM vol. 1, 8.5–8.7).
 */
abstract class X87Op extends FpuOp {
  static final int C0 = 1 << 8;
  static final int C1 = 1 << 9;
  static final int C2 = 1 << 10;
  static final int C3 = 1 << 14;
  static final int STACK_FAULT = 1 << 6;

  /** Exceptions found before computing: unmasked, they keep the result from being stored. */
  private static final int BEFORE =
      FloatUnit.INVALID | FloatUnit.DENORMAL | FloatUnit.DIVIDE_BY_ZERO;

  private final int opcode;

  X87Op(Instruction i) {
    super(i);
    opcode = (i.opcode & 7) << 8 | i.mod << 6 | (i.reg & 7) << 3 | i.rm & 7;
  }

  @Override
  final int execute(Vcpu c) {
    if (unavailable(c)) {
      return denied(c);
    }
    FpuState f = c.fpu;
    if (f.exceptionPending()) {
      return c.raise(FLOATING_POINT_ERROR, 0);
    }
    f.unit.flags = 0;
    run(c, f);
    if (c.fault != 0) {
      return FAULT;
    }
    f.lastOpcode = opcode;
    f.lastInstruction = c.gpr[Vcpu.BLOCK] + offset;
    return NEXT;
  }

  /** Does the work; a memory fault is left in {@code c.fault} before any state has changed. */
  abstract void run(Vcpu c, FpuState f);

  /** The linear address of the memory operand. */
  final long address(Vcpu c, int sizeBytes, boolean write) {
    long gva = memory.linear(c, sizeBytes, write);
    c.fpu.lastData = gva;
    return gva;
  }

  // ---- the register stack --------------------------------------------------------------------

  static int physical(FpuState f, int index) {
    return f.top + index & 7;
  }

  static boolean isEmpty(FpuState f, int index) {
    return f.isEmpty(f.top + index & 7);
  }

  static void set(FpuState f, int index, int signExponent, long significand) {
    int r = f.top + index & 7;
    f.signExponent[r] = signExponent;
    f.significand[r] = significand;
    f.setEmpty(r, false);
  }

  /** Sets ST(index) to the unit's rounded result. */
  static void setResult(FpuState f, int index) {
    set(f, index, f.unit.toSignExponent(), f.unit.toSignificand());
  }

  static void setDefaultNan(FpuState f, int index) {
    set(f, index, 0xFFFF, 3L << 62);
  }

  static void pop(FpuState f) {
    f.setEmpty(f.top, true);
    f.top = f.top + 1 & 7;
  }

  /** Loads ST(index) as the unit's operand. */
  static void load(FpuState f, FloatOperand operand, int index) {
    int r = f.top + index & 7;
    operand.setExtended(f.signExponent[r], f.significand[r]);
  }

  /** Makes room for a push; false if there was none and the masked response was given. */
  static boolean room(FpuState f) {
    if (isEmpty(f, 7)) {
      f.statusBits &= ~C1;
      return true;
    }
    if (raise(f, FloatUnit.INVALID | STACK_FAULT)) {
      f.top = f.top - 1 & 7;
      setDefaultNan(f, 0);
    }
    f.statusBits |= C1;
    return false;
  }

  /** As {@link #room} where the operation also replaces ST(0): both results are then NaN. */
  static boolean roomForTwo(FpuState f) {
    boolean masked = (f.control & FloatUnit.INVALID) != 0;
    if (!isEmpty(f, 7) && masked) {
      setDefaultNan(f, 0);
    }
    return room(f);
  }

  /** Pushes a number in the 80-bit format; {@link #room} was asked first. */
  static void push(FpuState f, int signExponent, long significand) {
    f.top = f.top - 1 & 7;
    set(f, 0, signExponent, significand);
  }

  // ---- exceptions ----------------------------------------------------------------------------

  /** Notes exceptions; answers whether the result may be stored. */
  static boolean raise(FpuState f, int flags) {
    f.statusBits |= flags;
    f.updateSummary();
    return (flags & BEFORE & ~f.control) == 0;
  }

  /** Notes what the unit raised, and C1 as it rounded. */
  static boolean raiseUnit(FpuState f) {
    if ((f.unit.flags & BEFORE & ~f.control) != 0) {
      // Nothing was computed.
      f.unit.flags &= BEFORE;
    }
    boolean up = (f.unit.flags & FloatUnit.PRECISION) != 0 && f.unit.roundedUp;
    f.statusBits = up ? f.statusBits | C1 : f.statusBits & ~C1;
    return raise(f, f.unit.flags);
  }

  /** A source register was empty; answers whether the default NaN is to be stored. */
  static boolean underflow(FpuState f) {
    f.statusBits &= ~C1;
    return raise(f, FloatUnit.INVALID | STACK_FAULT);
  }

  // ---- arithmetic ----------------------------------------------------------------------------

  /** Sets the unit up for the control word. */
  static FloatUnit unit(FpuState f) {
    FloatUnit u = f.unit;
    u.mode = f.control >> 10 & 3;
    u.masks = f.control & 0x3F;
    u.flushToZero = false;
    u.wraps = true;
    u.roundedUp = false;
    return u;
  }

  /** Rounds to the precision that the control word asks for. */
  static void round(FpuState f) {
    int precision =
        switch (f.control >> 8 & 3) {
          case 0 -> 24;
          case 2 -> 53;
          default -> 64;
        };
    f.unit.round(precision, -16382, 16383);
  }

  static void roundExtended(FpuState f) {
    f.unit.round(64, -16382, 16383);
  }

  /**
   * Whether an operand is NaN; then the unit's result is the one to give (SDM vol. 1, table 4-7).
   */
  static boolean nan(FloatUnit u, FloatOperand a, FloatOperand b) {
    if (a.kind != FloatOperand.NAN && b.kind != FloatOperand.NAN) {
      return false;
    }
    if (a.signaling || b.signaling) {
      u.flags |= FloatUnit.INVALID;
    }
    u.kind = FloatOperand.NAN;
    u.setNan(unsupported(a) || unsupported(b) ? null : chosen(a, b));
    return true;
  }

  /** An encoding with a clear integer bit where it should be set. */
  private static boolean unsupported(FloatOperand a) {
    return a.kind == FloatOperand.NAN && a.significand >= 0;
  }

  private static FloatOperand chosen(FloatOperand a, FloatOperand b) {
    if (a.kind != FloatOperand.NAN || b.kind != FloatOperand.NAN) {
      return a.kind == FloatOperand.NAN ? a : b;
    }
    if (a.signaling != b.signaling) {
      return a.signaling ? b : a;
    }
    int order = Long.compareUnsigned(a.significand, b.significand);
    boolean second = order == 0 ? a.negative : order < 0;
    return second ? b : a;
  }
}
