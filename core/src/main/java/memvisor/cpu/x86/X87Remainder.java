package memvisor.cpu.x86;

/**
 * FPREM and FPREM1: the exact remainder of ST(0) by ST(1), in steps of at most 63 bits of quotient.
 * C2 says that it is not finished; else C0, C3, C1 are the low bits of the quotient.
 */
final class X87Remainder extends X87Op {
  private final boolean nearest;

  /** The low bits of the quotient of the last reduction, and its remainder. */
  private long quotient;

  private long rest;

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
      reduce(u.a.significand, u.b.significand, bits);
      u.setFinite(u.a.negative, u.b.exponent + difference - bits, rest);
      return C2;
    }
    if (difference == -1) {
      return fromHalf(u);
    }
    reduce(u.a.significand, u.b.significand, difference);
    boolean negative = u.a.negative;
    if (nearest && isOverHalf(u.b.significand)) {
      rest = u.b.significand - rest;
      negative = !negative;
      quotient++;
    }
    u.setFinite(negative, u.b.exponent, rest);
    return condition();
  }

  /** FPREM1 where ST(0) is between a quarter of ST(1) and all of it. */
  private int fromHalf(FloatUnit u) {
    if (Long.compareUnsigned(u.a.significand, u.b.significand) <= 0) {
      return 0;
    }
    u.setFinite(!u.a.negative, u.a.exponent, 2 * u.b.significand - u.a.significand);
    quotient = 1;
    return condition();
  }

  private boolean isOverHalf(long divisor) {
    int order = Long.compareUnsigned(rest, divisor - rest);
    return order > 0 || order == 0 && (quotient & 1) != 0;
  }

  private int condition() {
    return ((quotient & 4) != 0 ? C0 : 0)
        | ((quotient & 2) != 0 ? C3 : 0)
        | ((quotient & 1) != 0 ? C1 : 0);
  }

  /** Divides {@code dividend * 2^bits} by {@code divisor}. */
  private void reduce(long dividend, long divisor, int bits) {
    quotient = 0;
    rest = dividend;
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
  }
}
