package memvisor.cpu.x86;

/** A floating-point number taken apart, in whatever format it came. */
final class FloatOperand {
  static final int ZERO = 0;
  static final int FINITE = 1;
  static final int INFINITY = 2;
  static final int NAN = 3;

  int kind;
  boolean negative;

  /** Exponent of the significand's top bit. */
  int exponent;

  /**
   * The significand with its top bit set, the value being {@code significand * 2^(exponent-63)}.
   */
  long significand;

  /** The number came denormalized. */
  boolean denormal;

  /** A signalling NaN, or an encoding that the format does not support. */
  boolean signaling;

  void setDouble(long bits) {
    int biased = (int) (bits >>> 52) & 0x7FF;
    long fraction = bits << 12;
    set(bits < 0, biased, 0x7FF, 1023, fraction);
  }

  void setFloat(int bits) {
    int biased = bits >>> 23 & 0xFF;
    long fraction = (long) bits << 41;
    set(bits < 0, biased, 0xFF, 127, fraction);
  }

  /** From a format with a hidden bit; {@code fraction} is left-aligned. */
  private void set(boolean sign, int biased, int biasedMax, int bias, long fraction) {
    negative = sign;
    denormal = false;
    signaling = false;
    if (biased == biasedMax) {
      kind = fraction == 0 ? INFINITY : NAN;
      signaling = fraction > 0;
      significand = fraction >>> 1 | Long.MIN_VALUE;
    } else if (biased != 0) {
      kind = FINITE;
      exponent = biased - bias;
      significand = fraction >>> 1 | Long.MIN_VALUE;
    } else if (fraction == 0) {
      kind = ZERO;
    } else {
      int zeros = Long.numberOfLeadingZeros(fraction);
      kind = FINITE;
      denormal = true;
      exponent = -bias - zeros;
      significand = fraction << zeros;
    }
  }

  /** From the 80-bit format; an unsupported encoding counts as a signalling NaN. */
  void setExtended(int signExponent, long bits) {
    int biased = signExponent & 0x7FFF;
    negative = (signExponent & 0x8000) != 0;
    denormal = false;
    signaling = false;
    significand = bits;
    if (biased == 0x7FFF) {
      kind = bits == Long.MIN_VALUE ? INFINITY : NAN;
      signaling = bits >= 0 || kind == NAN && (bits & 1L << 62) == 0;
    } else if (biased == 0 && bits == 0) {
      kind = ZERO;
    } else if (biased != 0 && bits >= 0) {
      kind = NAN;
      signaling = true;
    } else {
      int zeros = Long.numberOfLeadingZeros(bits);
      kind = FINITE;
      denormal = biased == 0;
      exponent = Math.max(biased, 1) - 16383 - zeros;
      significand = bits << zeros;
    }
  }

  /** From a signed integer. */
  void setLong(long value) {
    negative = value < 0;
    setMagnitude(Math.abs(value));
  }

  /** From an unsigned integer, keeping the sign. */
  void setMagnitude(long magnitude) {
    denormal = false;
    signaling = false;
    if (magnitude == 0) {
      kind = ZERO;
      return;
    }
    int zeros = Long.numberOfLeadingZeros(magnitude);
    kind = FINITE;
    exponent = 63 - zeros;
    significand = magnitude << zeros;
  }

  void copyFrom(FloatOperand other) {
    kind = other.kind;
    negative = other.negative;
    exponent = other.exponent;
    significand = other.significand;
    denormal = other.denormal;
    signaling = other.signaling;
  }

  /** Order of magnitudes of two operands that are zero, finite or infinite. */
  int compareMagnitude(FloatOperand other) {
    if (kind != other.kind) {
      return Integer.compare(kind, other.kind);
    }
    if (kind != FINITE) {
      return 0;
    }
    return exponent != other.exponent
        ? Integer.compare(exponent, other.exponent)
        : Long.compareUnsigned(significand, other.significand);
  }

  /** Order of two operands that are not NaN; zeros are equal. */
  int compareTo(FloatOperand other) {
    if (kind == ZERO && other.kind == ZERO) {
      return 0;
    }
    if (negative != other.negative) {
      return kind == ZERO ? (other.negative ? 1 : -1) : negative ? -1 : 1;
    }
    int order = compareMagnitude(other);
    return negative ? -order : order;
  }
}
