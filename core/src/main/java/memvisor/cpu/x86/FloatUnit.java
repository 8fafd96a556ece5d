package memvisor.cpu.x86;

/**
 * Exact binary floating-point arithmetic, for x87 and for the SSE operations whose rounding or
 * flags Java's arithmetic cannot give.
 *
 * <p>An operation reads {@link #a} and {@link #b}, neither of them NaN, and leaves the exact
 * result; {@link #round} then rounds it once to the wanted format, and notes exceptions in {@link
 * #flags}.
 */
final class FloatUnit extends FloatResult {
  final FloatOperand a = new FloatOperand();
  final FloatOperand b = new FloatOperand();
  private final FloatOperand spare = new FloatOperand();

  /** The low bits of the quotient of the last reduction, and its remainder. */
  long quotient;

  long rest;

  // ---- operations ----------------------------------------------------------------------------

  private void invalid() {
    flags |= INVALID;
    setNan(null);
  }

  void noteDenormals() {
    if (a.denormal || b.denormal) {
      flags |= DENORMAL;
    }
  }

  /** {@code a + b}. */
  void add() {
    if (a.kind == FloatOperand.INFINITY && b.kind == FloatOperand.INFINITY) {
      if (a.negative != b.negative) {
        invalid();
      } else {
        special(FloatOperand.INFINITY, a.negative);
      }
      return;
    }
    noteDenormals();
    if (a.kind == FloatOperand.INFINITY || b.kind == FloatOperand.INFINITY) {
      special(FloatOperand.INFINITY, a.kind == FloatOperand.INFINITY ? a.negative : b.negative);
    } else if (b.kind == FloatOperand.ZERO) {
      if (a.kind == FloatOperand.ZERO) {
        special(FloatOperand.ZERO, a.negative == b.negative ? a.negative : mode == DOWN);
      } else {
        copy(a);
      }
    } else if (a.kind == FloatOperand.ZERO) {
      copy(b);
    } else if (a.compareMagnitude(b) >= 0) {
      addOrdered(a, b);
    } else {
      addOrdered(b, a);
    }
  }

  /** {@code a - b}; changes the sign of b. */
  void subtract() {
    b.negative = !b.negative;
    add();
  }

  private void addOrdered(FloatOperand big, FloatOperand small) {
    kind = FloatOperand.FINITE;
    negative = big.negative;
    exponent = big.exponent;
    high = small.significand;
    low = 0;
    shiftRight(big.exponent - small.exponent);
    if (big.negative == small.negative) {
      high += big.significand;
      if (Long.compareUnsigned(high, big.significand) < 0) {
        shiftRight(1);
        high |= Long.MIN_VALUE;
        exponent++;
      }
      return;
    }
    long borrow = low != 0 ? 1 : 0;
    low = -low;
    high = big.significand - high - borrow;
    if ((high | low) == 0) {
      special(FloatOperand.ZERO, mode == DOWN);
    } else {
      normalize();
    }
  }

  /** {@code a * b}. */
  void multiply() {
    boolean sign = a.negative != b.negative;
    boolean infinite = a.kind == FloatOperand.INFINITY || b.kind == FloatOperand.INFINITY;
    boolean zero = a.kind == FloatOperand.ZERO || b.kind == FloatOperand.ZERO;
    if (infinite && zero) {
      invalid();
      return;
    }
    noteDenormals();
    if (infinite || zero) {
      special(infinite ? FloatOperand.INFINITY : FloatOperand.ZERO, sign);
      return;
    }
    kind = FloatOperand.FINITE;
    negative = sign;
    exponent = a.exponent + b.exponent + 1;
    high = Math.unsignedMultiplyHigh(a.significand, b.significand);
    low = a.significand * b.significand;
    normalize();
  }

  /** {@code a / b}. */
  void divide() {
    boolean sign = a.negative != b.negative;
    if (a.kind == b.kind && a.kind != FloatOperand.FINITE) {
      invalid();
      return;
    }
    if (b.kind == FloatOperand.ZERO && a.kind == FloatOperand.FINITE) {
      flags |= DIVIDE_BY_ZERO;
      special(FloatOperand.INFINITY, sign);
      return;
    }
    noteDenormals();
    if (a.kind == FloatOperand.INFINITY || b.kind == FloatOperand.ZERO) {
      special(FloatOperand.INFINITY, sign);
    } else if (a.kind == FloatOperand.ZERO || b.kind == FloatOperand.INFINITY) {
      special(FloatOperand.ZERO, sign);
    } else {
      divideFinite(sign);
    }
  }

  private void divideFinite(boolean sign) {
    kind = FloatOperand.FINITE;
    negative = sign;
    exponent = a.exponent - b.exponent;
    long divisor = b.significand;
    long dividendHigh = a.significand >>> 1;
    long dividendLow = a.significand << 63;
    if (Long.compareUnsigned(a.significand, divisor) < 0) {
      dividendHigh = a.significand;
      dividendLow = 0;
      exponent--;
    }
    high = Wide128.divide(dividendHigh, dividendLow, divisor);
    long remainder = dividendLow - high * divisor;
    low = remainder == 0 ? 0 : belowHalf(remainder, divisor);
  }

  /** The bits after the quotient: 01, 10 or 11 as the remainder is under, at or over a half. */
  private static long belowHalf(long remainder, long divisor) {
    int order = Long.compareUnsigned(remainder, divisor - remainder);
    return order < 0 ? 1L << 62 : order == 0 ? 1L << 63 : 3L << 62;
  }

  /** The square root of {@code a}. */
  void squareRoot() {
    if (a.kind == FloatOperand.ZERO) {
      special(FloatOperand.ZERO, a.negative);
      return;
    }
    if (a.negative) {
      invalid();
      return;
    }
    flags |= a.denormal ? DENORMAL : 0;
    if (a.kind == FloatOperand.INFINITY) {
      special(FloatOperand.INFINITY, false);
      return;
    }
    kind = FloatOperand.FINITE;
    negative = false;
    exponent = a.exponent >> 1;
    boolean odd = (a.exponent & 1) != 0;
    long radicandHigh = odd ? a.significand : a.significand >>> 1;
    long radicandLow = odd ? 0 : a.significand << 63;
    high = Wide128.squareRoot(radicandHigh, radicandLow);
    long squareHigh = Math.unsignedMultiplyHigh(high, high);
    long squareLow = high * high;
    // The remainder is at most 2 * root, and the next bit is set if it exceeds the root.
    long restLow = radicandLow - squareLow;
    long restHigh =
        radicandHigh - squareHigh - (Long.compareUnsigned(radicandLow, squareLow) < 0 ? 1 : 0);
    boolean over = restHigh != 0 || Long.compareUnsigned(restLow, high) > 0;
    low = (restHigh | restLow) == 0 ? 0 : over ? 3L << 62 : 1L << 62;
  }

  /** Raises INVALID; the result is the default NaN. */
  void invalidResult() {
    invalid();
  }

  /** Makes a number the result that need not be normalized; a zero keeps the sign of a. */
  void setFinite(boolean sign, int ofExponent, long significand) {
    if (significand == 0) {
      special(FloatOperand.ZERO, a.negative);
      return;
    }
    kind = FloatOperand.FINITE;
    negative = sign;
    exponent = ofExponent;
    high = significand;
    low = 0;
    normalize();
  }

  /** {@code a * 2^trunc(b)}, the power being clamped to plus or minus {@code limit}. */
  void scale(int limit) {
    boolean up = b.kind == FloatOperand.INFINITY && !b.negative;
    boolean down = b.kind == FloatOperand.INFINITY && b.negative;
    if (up && a.kind == FloatOperand.ZERO || down && a.kind == FloatOperand.INFINITY) {
      invalid();
      return;
    }
    noteDenormals();
    copy(a);
    if (a.kind != FloatOperand.FINITE) {
      return;
    }
    if (up || down) {
      special(up ? FloatOperand.INFINITY : FloatOperand.ZERO, a.negative);
    } else if (b.kind == FloatOperand.FINITE && b.exponent >= 0) {
      long power = b.exponent > 30 ? limit : Math.min(b.significand >>> 63 - b.exponent, limit);
      exponent += (int) (b.negative ? -power : power);
    }
  }

  /** {@code a} rounded to an integer, as the result. */
  void roundToIntegral() {
    flags |= a.denormal ? DENORMAL : 0;
    if (a.kind != FloatOperand.FINITE || a.exponent >= 63) {
      copy(a);
      roundedUp = false;
      return;
    }
    boolean sign = a.negative;
    long magnitude = integerMagnitude(mode);
    boolean up = roundedUp;
    setFinite(sign, 63, magnitude);
    roundedUp = up;
  }

  /** Exchanges a and b. */
  void swap() {
    spare.copyFrom(a);
    a.copyFrom(b);
    b.copyFrom(spare);
  }

  /** {@code a}, unchanged: for conversions. */
  void convert() {
    flags |= a.denormal ? DENORMAL : 0;
    copy(a);
  }

  // ---- integers ------------------------------------------------------------------------------

  /**
   * Rounds {@code a}, zero or finite, to an integer: its magnitude, as an unsigned number, or -1
   * where it is 2^64 or more. Sets PRECISION.
   */
  long integerMagnitude(int rounding) {
    roundedUp = false;
    if (a.kind == FloatOperand.ZERO || a.exponent > 63) {
      return a.kind == FloatOperand.ZERO ? 0 : -1;
    }
    high = a.significand;
    low = 0;
    negative = a.negative;
    shiftRight(63 - a.exponent);
    long truncated = high;
    int kept = mode;
    mode = rounding;
    roundedUp = low != 0 && awayFromZero(1, 0);
    mode = kept;
    flags |= low != 0 ? PRECISION : 0;
    return roundedUp ? truncated + 1 : truncated;
  }

  /**
   * Rounds {@code a} to a signed integer of {@code bits}, or answers the integer indefinite and
   * raises INVALID where there is none.
   */
  long toInteger(int bits, int rounding) {
    int before = flags;
    boolean number = a.kind <= FloatOperand.FINITE;
    boolean huge = a.kind == FloatOperand.FINITE && a.exponent > 63;
    long magnitude = number && !huge ? integerMagnitude(rounding) : 0;
    // The most negative number has one more than the most positive.
    long limit = (1L << bits - 1) - (a.negative ? 0 : 1);
    if (!number || huge || Long.compareUnsigned(magnitude, limit) > 0) {
      flags = before | INVALID;
      return Long.MIN_VALUE >> 64 - bits;
    }
    return a.negative ? -magnitude : magnitude;
  }
}
