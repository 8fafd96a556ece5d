package memvisor.cpu.x86;

/**
 * Packed-integer arithmetic on the lanes of one 64-bit half; the commonest operations work on all
 * lanes at once.
 */
final class Lanes {
  private static final long SIGNS_8 = 0x8080808080808080L;
  private static final long SIGNS_16 = 0x8000800080008000L;
  private static final long SIGNS_32 = 0x8000000080000000L;

  private Lanes() {}

  /** A function of two lanes, sign-extended to 64 bits; the low bits of the result count. */
  interface Lane {
    long apply(long a, long b);
  }

  private static long each(int width, long a, long b, Lane lane) {
    int unused = 64 - width;
    long mask = -1L >>> unused;
    long result = 0;
    for (int shift = 0; shift < 64; shift += width) {
      long x = a << unused - shift >> unused;
      long y = b << unused - shift >> unused;
      result |= (lane.apply(x, y) & mask) << shift;
    }
    return result;
  }

  static long withLow32(long old, long value) {
    return old & 0xFFFF_FFFF_0000_0000L | value & 0xFFFF_FFFFL;
  }

  /** The top bit of each byte, gathered. */
  static long signs8(long a) {
    return ((a >>> 7 & 0x0101010101010101L) * 0x0102040810204080L) >>> 56;
  }

  // ---- logic ---------------------------------------------------------------------------------

  static long and(long a, long b) {
    return a & b;
  }

  static long andNot(long a, long b) {
    return ~a & b;
  }

  static long or(long a, long b) {
    return a | b;
  }

  static long xor(long a, long b) {
    return a ^ b;
  }

  // ---- addition ------------------------------------------------------------------------------

  private static long add(long a, long b, long signs) {
    return (a & ~signs) + (b & ~signs) ^ (a ^ b) & signs;
  }

  private static long sub(long a, long b, long signs) {
    return (a | signs) - (b & ~signs) ^ (a ^ ~b) & signs;
  }

  static long add8(long a, long b) {
    return add(a, b, SIGNS_8);
  }

  static long add16(long a, long b) {
    return add(a, b, SIGNS_16);
  }

  static long add32(long a, long b) {
    return add(a, b, SIGNS_32);
  }

  static long add64(long a, long b) {
    return a + b;
  }

  static long sub8(long a, long b) {
    return sub(a, b, SIGNS_8);
  }

  static long sub16(long a, long b) {
    return sub(a, b, SIGNS_16);
  }

  static long sub32(long a, long b) {
    return sub(a, b, SIGNS_32);
  }

  static long sub64(long a, long b) {
    return a - b;
  }

  private static long clamp(long value, long min, long max) {
    return Math.max(min, Math.min(max, value));
  }

  static long saturateS8(long value) {
    return clamp(value, -128, 127);
  }

  static long saturateU8(long value) {
    return clamp(value, 0, 255);
  }

  static long saturateS16(long value) {
    return clamp(value, -32768, 32767);
  }

  static long saturateU16(long value) {
    return clamp(value, 0, 65535);
  }

  static long addS8(long a, long b) {
    return each(8, a, b, (x, y) -> saturateS8(x + y));
  }

  static long addS16(long a, long b) {
    return each(16, a, b, (x, y) -> saturateS16(x + y));
  }

  static long addU8(long a, long b) {
    return each(8, a, b, (x, y) -> saturateU8((x & 0xFF) + (y & 0xFF)));
  }

  static long addU16(long a, long b) {
    return each(16, a, b, (x, y) -> saturateU16((x & 0xFFFF) + (y & 0xFFFF)));
  }

  static long subS8(long a, long b) {
    return each(8, a, b, (x, y) -> saturateS8(x - y));
  }

  static long subS16(long a, long b) {
    return each(16, a, b, (x, y) -> saturateS16(x - y));
  }

  static long subU8(long a, long b) {
    return each(8, a, b, (x, y) -> saturateU8((x & 0xFF) - (y & 0xFF)));
  }

  static long subU16(long a, long b) {
    return each(16, a, b, (x, y) -> saturateU16((x & 0xFFFF) - (y & 0xFFFF)));
  }

  static long average8(long a, long b) {
    return each(8, a, b, (x, y) -> (x & 0xFF) + (y & 0xFF) + 1 >> 1);
  }

  static long average16(long a, long b) {
    return each(16, a, b, (x, y) -> (x & 0xFFFF) + (y & 0xFFFF) + 1 >> 1);
  }

  // ---- comparison ----------------------------------------------------------------------------

  /** All ones in the bytes whose sign bit in {@code signs} is set. */
  private static long spread8(long signs) {
    return (signs >>> 7) * 0xFF;
  }

  static long equal8(long a, long b) {
    long x = a ^ b;
    return spread8(~((x & ~SIGNS_8) + ~SIGNS_8 | x | ~SIGNS_8));
  }

  static long equal16(long a, long b) {
    long x = a ^ b;
    return (~((x & ~SIGNS_16) + ~SIGNS_16 | x | ~SIGNS_16) >>> 15) * 0xFFFF;
  }

  static long equal32(long a, long b) {
    long x = a ^ b;
    return ((int) x == 0 ? 0xFFFF_FFFFL : 0) | (x >>> 32 == 0 ? 0xFFFF_FFFFL << 32 : 0);
  }

  static long equal64(long a, long b) {
    return a == b ? -1 : 0;
  }

  /** All ones in the bytes where {@code a >= b}, unsigned. */
  private static long atLeast8(long a, long b) {
    long difference = (a | SIGNS_8) - (b & ~SIGNS_8);
    return spread8((a & ~b | ~(a ^ b) & difference) & SIGNS_8);
  }

  static long greater8(long a, long b) {
    return ~atLeast8(b ^ SIGNS_8, a ^ SIGNS_8);
  }

  static long greater16(long a, long b) {
    return each(16, a, b, (x, y) -> x > y ? -1 : 0);
  }

  static long greater32(long a, long b) {
    return each(32, a, b, (x, y) -> x > y ? -1 : 0);
  }

  static long greater64(long a, long b) {
    return a > b ? -1 : 0;
  }

  static long minU8(long a, long b) {
    long atLeast = atLeast8(a, b);
    return b & atLeast | a & ~atLeast;
  }

  static long maxU8(long a, long b) {
    long atLeast = atLeast8(a, b);
    return a & atLeast | b & ~atLeast;
  }

  static long minS8(long a, long b) {
    return each(8, a, b, Math::min);
  }

  static long maxS8(long a, long b) {
    return each(8, a, b, Math::max);
  }

  static long minS16(long a, long b) {
    return each(16, a, b, Math::min);
  }

  static long maxS16(long a, long b) {
    return each(16, a, b, Math::max);
  }

  static long minU16(long a, long b) {
    return each(16, a, b, (x, y) -> Math.min(x & 0xFFFF, y & 0xFFFF));
  }

  static long maxU16(long a, long b) {
    return each(16, a, b, (x, y) -> Math.max(x & 0xFFFF, y & 0xFFFF));
  }

  static long minS32(long a, long b) {
    return each(32, a, b, Math::min);
  }

  static long maxS32(long a, long b) {
    return each(32, a, b, Math::max);
  }

  static long minU32(long a, long b) {
    return each(32, a, b, (x, y) -> Math.min(x & 0xFFFF_FFFFL, y & 0xFFFF_FFFFL));
  }

  static long maxU32(long a, long b) {
    return each(32, a, b, (x, y) -> Math.max(x & 0xFFFF_FFFFL, y & 0xFFFF_FFFFL));
  }

  // ---- multiplication ------------------------------------------------------------------------

  static long multiplyLow16(long a, long b) {
    return each(16, a, b, (x, y) -> x * y);
  }

  static long multiplyHighS16(long a, long b) {
    return each(16, a, b, (x, y) -> x * y >> 16);
  }

  static long multiplyHighU16(long a, long b) {
    return each(16, a, b, (x, y) -> (x & 0xFFFF) * (y & 0xFFFF) >> 16);
  }

  /** PMULHRSW. */
  static long multiplyRounded16(long a, long b) {
    return each(16, a, b, (x, y) -> (x * y >> 14) + 1 >> 1);
  }

  static long multiplyLow32(long a, long b) {
    return each(32, a, b, (x, y) -> x * y);
  }

  /** PMULUDQ. */
  static long multiplyU32(long a, long b) {
    return (a & 0xFFFF_FFFFL) * (b & 0xFFFF_FFFFL);
  }

  /** PMULDQ. */
  static long multiplyS32(long a, long b) {
    return (long) (int) a * (int) b;
  }

  /** PMADDWD. */
  static long multiplyAdd16(long a, long b) {
    return each(32, a, b, (x, y) -> (long) (short) x * (short) y + (x >> 16) * (y >> 16));
  }

  /** PMADDUBSW: the first operand's bytes are unsigned. */
  static long multiplyAdd8(long a, long b) {
    return each(
        16, a, b, (x, y) -> saturateS16((x & 0xFF) * (byte) y + (x >> 8 & 0xFF) * (y >> 8)));
  }

  /** PSADBW. */
  static long absoluteDifferences(long a, long b) {
    long sum = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      sum += Math.abs((a >>> shift & 0xFF) - (b >>> shift & 0xFF));
    }
    return sum;
  }

  // ---- signs ---------------------------------------------------------------------------------

  private static long sign(long x, long y) {
    return y < 0 ? -x : y == 0 ? 0 : x;
  }

  static long sign8(long a, long b) {
    return each(8, a, b, Lanes::sign);
  }

  static long sign16(long a, long b) {
    return each(16, a, b, Lanes::sign);
  }

  static long sign32(long a, long b) {
    return each(32, a, b, Lanes::sign);
  }

  static long abs8(long a, long b) {
    return each(8, a, b, (x, y) -> Math.abs(y));
  }

  static long abs16(long a, long b) {
    return each(16, a, b, (x, y) -> Math.abs(y));
  }

  static long abs32(long a, long b) {
    return each(32, a, b, (x, y) -> Math.abs(y));
  }

  // ---- shifts: the second argument is the count ------------------------------------------------

  static long shiftLeft16(long a, long count) {
    return tooFar(count, 16) ? 0 : a << count & (0xFFFFL << count & 0xFFFF) * 0x0001000100010001L;
  }

  static long shiftLeft32(long a, long count) {
    return tooFar(count, 32)
        ? 0
        : a << count & (0xFFFF_FFFFL << count & 0xFFFF_FFFFL) * 0x100000001L;
  }

  static long shiftLeft64(long a, long count) {
    return tooFar(count, 64) ? 0 : a << count;
  }

  static long shiftRight16(long a, long count) {
    return tooFar(count, 16) ? 0 : a >>> count & (0xFFFFL >>> count) * 0x0001000100010001L;
  }

  static long shiftRight32(long a, long count) {
    return tooFar(count, 32) ? 0 : a >>> count & (0xFFFF_FFFFL >>> count) * 0x100000001L;
  }

  static long shiftRight64(long a, long count) {
    return tooFar(count, 64) ? 0 : a >>> count;
  }

  static long shiftArithmetic16(long a, long count) {
    int by = tooFar(count, 16) ? 15 : (int) count;
    return each(16, a, a, (x, y) -> x >> by);
  }

  static long shiftArithmetic32(long a, long count) {
    int by = tooFar(count, 32) ? 31 : (int) count;
    return each(32, a, a, (x, y) -> x >> by);
  }

  private static boolean tooFar(long count, int width) {
    return Long.compareUnsigned(count, width) >= 0;
  }
}
