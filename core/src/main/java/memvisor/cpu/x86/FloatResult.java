package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The result of an exact operation, as a 128-bit significand whose last bit stands for everything
 * below, and its one rounding to a format.
 */
abstract class FloatResult {
  /** Exception flags, in the places they have in MXCSR and the x87 status word. */
  static final int INVALID = 1;

  static final int DENORMAL = 2;
  static final int DIVIDE_BY_ZERO = 4;
  static final int OVERFLOW = 8;
  static final int UNDERFLOW = 16;
  static final int PRECISION = 32;

  /** Rounding control as encoded in MXCSR and the x87 control word. */
  static final int NEAREST = 0;

  static final int DOWN = 1;
  static final int UP = 2;
  static final int ZERO = 3;

  /** What an unmasked overflow or underflow moves the exponent by (SDM vol. 1, 8.5.4). */
  private static final int WRAP = 24576;

  /** The result: one of {@link FloatOperand}'s kinds; a NaN's payload is in {@link #high}. */
  int kind;

  boolean negative;
  int exponent;
  long high;
  long low;

  /** Exceptions raised since the caller cleared this. */
  int flags;

  /** The last rounding went away from zero. */
  boolean roundedUp;

  /** Rounding control. */
  int mode;

  /** Exceptions that are masked. */
  int masks;

  /** Results too small become zero (MXCSR.FTZ). */
  boolean flushToZero;

  /** Unmasked overflow and underflow wrap the exponent (x87 registers). */
  boolean wraps;

  // ---- setting the result --------------------------------------------------------------------

  final void special(int resultKind, boolean sign) {
    kind = resultKind;
    negative = sign;
  }

  /** Makes the result a quiet NaN: {@code from} made quiet, or the default NaN. */
  void setNan(@Nullable FloatOperand from) {
    special(FloatOperand.NAN, from == null || from.negative);
    high = from == null ? 3L << 62 : from.significand | 1L << 62;
    roundedUp = false;
  }

  /** Makes an operand the result. */
  void copy(FloatOperand from) {
    kind = from.kind;
    negative = from.negative;
    exponent = from.exponent;
    high = from.significand;
    low = 0;
  }

  // ---- rounding ------------------------------------------------------------------------------

  /** Rounds the result to {@code precision} bits and the exponent range of the format. */
  void round(int precision, int minExponent, int maxExponent) {
    roundedUp = false;
    if (kind != FloatOperand.FINITE) {
      return;
    }
    long exactHigh = high;
    long exactLow = low;
    int exactExponent = exponent;
    boolean inexact = roundSignificand(precision);
    if (exponent < minExponent) {
      if ((masks & UNDERFLOW) == 0) {
        flags |= UNDERFLOW | (inexact ? PRECISION : 0);
        wrap(WRAP, minExponent, maxExponent);
        return;
      }
      high = exactHigh;
      low = exactLow;
      exponent = exactExponent;
      denormalize(precision, minExponent);
    } else if (exponent > maxExponent) {
      flags |= OVERFLOW;
      overflow(precision, maxExponent, inexact);
    } else {
      flags |= inexact ? PRECISION : 0;
    }
  }

  /** The unmasked response of x87 registers; only FSCALE can be out of range even then. */
  private void wrap(int by, int minExponent, int maxExponent) {
    if (!wraps) {
      return;
    }
    exponent += by;
    if (exponent < minExponent || exponent > maxExponent) {
      flags |= PRECISION;
      roundedUp = exponent > maxExponent;
      special(exponent < minExponent ? FloatOperand.ZERO : FloatOperand.INFINITY, negative);
    }
  }

  private void denormalize(int precision, int minExponent) {
    if (flushToZero) {
      flags |= UNDERFLOW | PRECISION;
      special(FloatOperand.ZERO, negative);
      return;
    }
    shiftRight(minExponent - exponent);
    exponent = minExponent;
    if (roundSignificand(precision)) {
      flags |= UNDERFLOW | PRECISION;
    }
    if (high == 0) {
      kind = FloatOperand.ZERO;
    }
  }

  private void overflow(int precision, int maxExponent, boolean inexact) {
    if ((masks & OVERFLOW) == 0) {
      flags |= inexact ? PRECISION : 0;
      wrap(-WRAP, Integer.MIN_VALUE, maxExponent);
      return;
    }
    flags |= PRECISION;
    boolean toInfinity = mode == NEAREST || mode == (negative ? DOWN : UP);
    roundedUp = toInfinity;
    if (toInfinity) {
      kind = FloatOperand.INFINITY;
    } else {
      exponent = maxExponent;
      high = -1L << 64 - precision;
    }
  }

  /** Rounds the significand in place; answers whether bits were lost. */
  final boolean roundSignificand(int precision) {
    long unit = 1L << 64 - precision;
    long rest = high & unit - 1;
    boolean inexact = rest != 0 || low != 0;
    roundedUp = inexact && awayFromZero(unit, rest);
    high &= -unit;
    low = 0;
    if (roundedUp) {
      high += unit;
      if (high == 0) {
        high = Long.MIN_VALUE;
        exponent++;
      }
    }
    return inexact;
  }

  final boolean awayFromZero(long unit, long rest) {
    if (mode != NEAREST) {
      return mode == (negative ? DOWN : UP);
    }
    long half = unit >>> 1;
    boolean odd = (high & unit) != 0;
    if (half == 0) {
      return low < 0 && (low != Long.MIN_VALUE || odd);
    }
    return rest > half || rest == half && (low != 0 || odd);
  }

  // ---- packing -------------------------------------------------------------------------------

  boolean isNormal() {
    return high < 0;
  }

  /** The rounded result as a double. */
  long toDouble() {
    long sign = negative ? Long.MIN_VALUE : 0;
    return switch (kind) {
      case FloatOperand.ZERO -> sign;
      case FloatOperand.INFINITY -> sign | 0x7FFL << 52;
      case FloatOperand.NAN -> sign | 0x7FFL << 52 | high << 1 >>> 12;
      default -> sign | (isNormal() ? (long) exponent + 1023 << 52 : 0) | high << 1 >>> 12;
    };
  }

  /** The rounded result as a float. */
  int toFloat() {
    int sign = negative ? 1 << 31 : 0;
    return switch (kind) {
      case FloatOperand.ZERO -> sign;
      case FloatOperand.INFINITY -> sign | 0xFF << 23;
      case FloatOperand.NAN -> sign | 0xFF << 23 | (int) (high << 1 >>> 41);
      default -> sign | (isNormal() ? exponent + 127 << 23 : 0) | (int) (high << 1 >>> 41);
    };
  }

  /** Sign and exponent of the rounded result in the 80-bit format; the rest is {@link #high}. */
  int toSignExponent() {
    int sign = negative ? 0x8000 : 0;
    return switch (kind) {
      case FloatOperand.ZERO -> sign;
      case FloatOperand.INFINITY, FloatOperand.NAN -> sign | 0x7FFF;
      default -> sign | (isNormal() ? exponent + 16383 : 0);
    };
  }

  /** The significand of the rounded result in the 80-bit format. */
  long toSignificand() {
    return switch (kind) {
      case FloatOperand.ZERO -> 0;
      case FloatOperand.INFINITY -> Long.MIN_VALUE;
      default -> high;
    };
  }

  // ---- 128 bits ------------------------------------------------------------------------------

  final void normalize() {
    if (high == 0) {
      high = low;
      low = 0;
      exponent -= 64;
    }
    int zeros = Long.numberOfLeadingZeros(high);
    if (zeros != 0) {
      high = high << zeros | low >>> 64 - zeros;
      low <<= zeros;
      exponent -= zeros;
    }
  }

  /** Shifts {@code high:low} right; what falls off is kept as the last bit. */
  final void shiftRight(int count) {
    if (count == 0) {
      return;
    }
    if (count < 64) {
      long lost = low << 64 - count;
      low = low >>> count | high << 64 - count | (lost != 0 ? 1 : 0);
      high >>>= count;
    } else if (count < 128) {
      int rest = count - 64;
      long lost = low | (rest == 0 ? 0 : high << 64 - rest);
      low = high >>> rest | (lost != 0 ? 1 : 0);
      high = 0;
    } else {
      low = (high | low) != 0 ? 1 : 0;
      high = 0;
    }
  }
}
