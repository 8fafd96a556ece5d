package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The D9 E0–FF functions of ST(0).
 *
 * <p>FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X and FYL2XP1 are computed in double precision
 * (53 of 64 bits); everything else is exact. Operands beyond the range of a double behave as
 * infinite or zero in those eight.
 */
final class X87Functions {
  private X87Functions() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.opcode != 0xD9 || i.isMemory()) {
      return null;
    }
    int second = i.mod << 6 | i.extension() << 3 | i.rm & 7;
    return switch (second) {
      case 0xD0, 0xF6, 0xF7 -> new Pointer(i, second);
      case 0xE0, 0xE1 -> new Sign(i, second == 0xE0);
      case 0xE4 -> new TestZero(i);
      case 0xE5 -> new Examine(i);
      case 0xF4 -> new Extract(i);
      case 0xF5, 0xF8 -> new X87Remainder(i, second == 0xF5);
      case 0xFA, 0xFC -> new Unary(i, second == 0xFA);
      case 0xFD -> new Scale(i);
      case 0xF0, 0xF1, 0xF2, 0xF3, 0xF9, 0xFB, 0xFE, 0xFF -> new X87Transcendental(i, second);
      default -> null;
    };
  }

  /** FNOP, FDECSTP and FINCSTP. */
  private static final class Pointer extends X87Op {
    private final int by;

    Pointer(Instruction i, int second) {
      super(i);
      by = second == 0xF6 ? -1 : second == 0xF7 ? 1 : 0;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (by != 0) {
        f.top = f.top + by & 7;
        f.statusBits &= ~C1;
      }
    }
  }

  /** FCHS and FABS. */
  private static final class Sign extends X87Op {
    private final boolean change;

    Sign(Instruction i, boolean change) {
      super(i);
      this.change = change;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (isEmpty(f, 0)) {
        if (underflow(f)) {
          setDefaultNan(f, 0);
        }
        return;
      }
      f.statusBits &= ~C1;
      f.signExponent[f.top] =
          change ? f.signExponent[f.top] ^ 0x8000 : f.signExponent[f.top] & 0x7FFF;
    }
  }

  /** FTST. */
  private static final class TestZero extends X87Op {
    TestZero(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int order = 2;
      if (isEmpty(f, 0)) {
        underflow(f);
      } else {
        load(f, unit(f).a, 0);
        f.unit.b.setLong(0);
        order = X87ArithmeticOps.order(f.unit, false);
        raiseUnit(f);
      }
      X87ArithmeticOps.setCondition(f, order);
    }
  }

  /** FXAM. */
  private static final class Examine extends X87Op {
    Examine(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int sign = (f.signExponent[f.top] & 0x8000) != 0 ? C1 : 0;
      f.statusBits = f.statusBits & ~(C0 | C1 | C2 | C3) | sign | kind(f);
    }

    private static int kind(FpuState f) {
      if (isEmpty(f, 0)) {
        return C3 | C0;
      }
      int exponent = f.signExponent[f.top] & 0x7FFF;
      long bits = f.significand[f.top];
      if (exponent == 0) {
        return bits == 0 ? C3 : C3 | C2;
      }
      if (bits >= 0) {
        return 0;
      }
      return exponent != 0x7FFF ? C2 : bits == Long.MIN_VALUE ? C2 | C0 : C0;
    }
  }

  /** FSQRT and FRNDINT. */
  private static final class Unary extends X87Op {
    private final boolean root;

    Unary(Instruction i, boolean root) {
      super(i);
      this.root = root;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (isEmpty(f, 0)) {
        if (underflow(f)) {
          setDefaultNan(f, 0);
        }
        return;
      }
      FloatUnit u = unit(f);
      load(f, u.a, 0);
      if (!nan(u, u.a, u.a)) {
        if (root) {
          u.squareRoot();
          round(f);
        } else {
          u.roundToIntegral();
        }
      }
      if (raiseUnit(f)) {
        setResult(f, 0);
      }
    }
  }

  /** FSCALE: ST(0) times two to the power of ST(1) truncated. */
  private static final class Scale extends X87Op {
    /** More than any exponent needs to leave the range, wrapped or not. */
    private static final int LIMIT = 1 << 17;

    Scale(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      FloatUnit u = unit(f);
      boolean store;
      if (isEmpty(f, 0) || isEmpty(f, 1)) {
        store = underflow(f);
        u.setNan(null);
      } else {
        load(f, u.a, 0);
        load(f, u.b, 1);
        if (!nan(u, u.a, u.b)) {
          u.scale(LIMIT);
          roundExtended(f);
        }
        store = raiseUnit(f);
      }
      if (store) {
        setResult(f, 0);
      }
    }
  }

  /** FXTRACT: the exponent replaces ST(0), the significand is pushed. */
  private static final class Extract extends X87Op {
    Extract(Instruction i) {
      super(i);
    }

    @Override
    void run(Vcpu c, FpuState f) {
      if (isEmpty(f, 0)) {
        if (underflow(f)) {
          setDefaultNan(f, 0);
          push(f, 0xFFFF, 3L << 62);
        }
        return;
      }
      if (!roomForTwo(f)) {
        return;
      }
      FloatUnit u = unit(f);
      load(f, u.a, 0);
      int sign = u.a.negative ? 0x8000 : 0;
      if (nan(u, u.a, u.a)) {
        if (raiseUnit(f)) {
          setResult(f, 0);
          push(f, u.toSignExponent(), u.toSignificand());
        }
      } else if (u.a.kind == FloatOperand.ZERO) {
        if (raise(f, FloatUnit.DIVIDE_BY_ZERO)) {
          set(f, 0, 0xFFFF, Long.MIN_VALUE);
          push(f, sign, 0);
        }
      } else if (u.a.kind == FloatOperand.INFINITY) {
        set(f, 0, 0x7FFF, Long.MIN_VALUE);
        push(f, sign | 0x7FFF, Long.MIN_VALUE);
      } else {
        finite(f, u, sign);
      }
    }

    private static void finite(FpuState f, FloatUnit u, int sign) {
      long significand = u.a.significand;
      u.flags |= u.a.denormal ? FloatUnit.DENORMAL : 0;
      if (raiseUnit(f)) {
        u.a.setLong(u.a.exponent);
        u.a.denormal = false;
        u.convert();
        setResult(f, 0);
        push(f, sign | 0x3FFF, significand);
      }
    }
  }
}
