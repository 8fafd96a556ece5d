package memvisor.cpu.x86;

/** Unsigned 128-bit helpers. */
final class Wide128 {
  private static final long LOW_32 = 0xFFFF_FFFFL;

  private Wide128() {}

  /** {@code high:low / divisor} where the top bit of divisor is set and {@code high < divisor}. */
  static long divide(long high, long low, long divisor) {
    long first = digit(high, low >>> 32, divisor);
    long rest = (high << 32 | low >>> 32) - first * divisor;
    long second = digit(rest, low & LOW_32, divisor);
    return first << 32 | second;
  }

  /** One 32-bit digit of the quotient (Knuth, algorithm D). */
  private static long digit(long rest, long next, long divisor) {
    long top = divisor >>> 32;
    long bottom = divisor & LOW_32;
    long digit = Long.divideUnsigned(rest, top);
    long remainder = rest - digit * top;
    while (digit >>> 32 != 0 || Long.compareUnsigned(digit * bottom, remainder << 32 | next) > 0) {
      digit--;
      remainder += top;
      if (remainder >>> 32 != 0) {
        break;
      }
    }
    return digit;
  }

  /** The integer square root of {@code high:low}, which is at least 2^126. */
  static long squareRoot(long high, long low) {
    double estimate = Math.sqrt(unsigned(high)) * 0x1p32;
    // The estimate is good to 52 bits: start safely below and add the last 14 bits one by one.
    long root = estimate >= 0x1p64 ? -1L << 13 : (fromDouble(estimate) - 4096);
    for (long bit = 1L << 13; bit != 0; bit >>>= 1) {
      long candidate = root + bit;
      if (Long.compareUnsigned(candidate, root) > 0 && squareFits(candidate, high, low)) {
        root = candidate;
      }
    }
    return root;
  }

  private static boolean squareFits(long candidate, long high, long low) {
    int order = Long.compareUnsigned(Math.unsignedMultiplyHigh(candidate, candidate), high);
    return order < 0 || order == 0 && Long.compareUnsigned(candidate * candidate, low) <= 0;
  }

  private static double unsigned(long value) {
    return value >= 0 ? value : 2.0 * (value >>> 1 | value & 1);
  }

  private static long fromDouble(double value) {
    return value < 0x1p63 ? (long) value : (long) (value / 2) << 1;
  }
}
