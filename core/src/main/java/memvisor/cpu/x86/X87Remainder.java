package memvisor.cpu.x86;

/**
 * FPREM and FPREM1: the exact remainder of ST(0) by ST(1), in steps of at most 63 bits of quotient.
 * C2 says that it is not finished; else C0, C3, C1 are the low bits of the quotient.
 */
final class X87Remainder extends X87Op {
  private final boolean nearest;

  X87Remainder(Instruction i, boolean nearest) {
    super(i);
    this.nearest = nearest;
  }

  @Override
  void run(Vcpu c, FpuState f) {
    FloatUnit u = unit(f);
    boolean store;
    int condition = 0;
    if (isEmpty(f, 0) || isEmpty(f, 1)) {
      store = underflow(f);
      u.setNan(null);
    } else {
      load(f, u.a, 0);
      load(f, u.b, 1);
      if (!nan(u, u.a, u.b)) {
        condition = remainder(u);
        roundExtended(f);
      }
      store = raiseUnit(f);
    }
    if (!store) {
      f.statusBits &= ~C2;
    } else {
      boolean none = u.kind == FloatOperand.NAN;
      f.statusBits = f.statusBits & ~(none ? C1 | C2 : C0 | C1 | C2 | C3) | condition;
      setResult(f, 0);
    }
  }

  private int remainder(FloatUnit u) {
    if (u.a.kind == FloatOperand.INFINITY || u.b.kind == FloatOperand.ZERO) {
      u.invalidResult();
      return 0;
    }
    u.noteDenormals();
    u.copy(u.a);
    if (u.a.kind == FloatOperand.ZERO || u.b.kind == FloatOperand.INFINITY) {
      return 0;
    }
    int difference = u.a.exponent - u.b.exponent;
    if (difference < -1 || difference == -1 && !nearest) {
      return 0;
    }
    if (difference >= 64) {
      // Any number of bits from 32 to 63 may go in one step.
      int bits = difference & 31 | 32;
      reduce(u, u.a.significand, u.b.significand, bits);
      u.setFinite(u.a.negative, u.b.exponent + difference - bits, u.rest);
      return C2;
    }
    if (difference == -1) {
      return fromHalf(u);
    }
    reduce(u, u.a.significand, u.b.significand, difference);
    boolean negative = u.a.negative;
    if (nearest && isOverHalf(u)) {
      u.rest = u.b.significand - u.rest;
      negative = !negative;
      u.quotient++;
    }
    u.setFinite(negative, u.b.exponent, u.rest);
    return condition(u);
  }

  /** FPREM1 where ST(0) is between a quarter of ST(1) and all of it. */
  private static int fromHalf(FloatUnit u) {
    if (Long.compareUnsigned(u.a.significand, u.b.significand) <= 0) {
      return 0;
    }
    u.setFinite(!u.a.negative, u.a.exponent, 2 * u.b.significand - u.a.significand);
    u.quotient = 1;
    return condition(u);
  }

  private static boolean isOverHalf(FloatUnit u) {
    int order = Long.compareUnsigned(u.rest, u.b.significand - u.rest);
    return order > 0 || order == 0 && (u.quotient & 1) != 0;
  }

  private static int condition(FloatUnit u) {
    return ((u.quotient & 4) != 0 ? C0 : 0)
        | ((u.quotient & 2) != 0 ? C3 : 0)
        | ((u.quotient & 1) != 0 ? C1 : 0);
  }

  /** Divides {@code dividend * 2^bits} by {@code divisor}. */
  private static void reduce(FloatUnit u, long dividend, long divisor, int bits) {
    long quotient = 0;
    long rest = dividend;
    boolean carry = false;
    for (int i = bits; i >= 0; i--) {
      quotient <<= 1;
      if (carry || Long.compareUnsigned(rest, divisor) >= 0) {
        rest -= divisor;
        quotient |= 1;
      }
      if (i > 0) {
        carry = rest < 0;
        rest <<= 1;
      }
    }
    u.quotient = quotient;
    u.rest = rest;
  }
}
