package memvisor.cpu.x86;

/** The 80-bit packed decimal format of FBLD and FBSTP: 18 digits and a sign. */
final class PackedDecimal {
  private static final long MAX = 999_999_999_999_999_999L;

  private PackedDecimal() {}

  /** Whether 18 digits are enough. */
  static boolean holds(long value) {
    // The magnitude of -2^63 is one only as an unsigned number.
    return Long.compareUnsigned(Math.abs(value), MAX) <= 0;
  }

  /** Reads digits; what is not a digit counts as its value. */
  static void load(FloatOperand operand, long low, int high) {
    long value = (high >> 4 & 0xF) * 10L + (high & 0xF);
    for (int shift = 60; shift >= 0; shift -= 4) {
      value = value * 10 + (low >>> shift & 0xF);
    }
    operand.negative = (high & 0x8000) != 0;
    operand.setMagnitude(value);
  }

  /** The low sixteen digits. */
  static long digits(long magnitude) {
    long rest = magnitude;
    long result = 0;
    for (int shift = 0; shift < 64; shift += 4) {
      result |= rest % 10 << shift;
      rest /= 10;
    }
    return result;
  }

  /** The top two digits and the sign. */
  static int top(long magnitude, boolean negative) {
    long rest = magnitude / 10_000_000_000_000_000L;
    return (int) (rest / 10 << 4 | rest % 10) | (negative ? 0x8000 : 0);
  }
}
