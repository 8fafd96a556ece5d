package memvisor.cpu.x86;

/** Operations of SSSE3 and SSE4.1 between neighbouring lanes; see {@link Shuffles}. */
final class Horizontals {
  private Horizontals() {}

  /** Combines neighbouring words of a, then of b. */
  private static long words(long low, long high, Lanes.Lane lane) {
    long result = 0;
    for (int i = 0; i < 4; i++) {
      long x = (short) Shuffles.word(low, high, 2 * i);
      long y = (short) Shuffles.word(low, high, 2 * i + 1);
      result |= (lane.apply(x, y) & 0xFFFF) << 16 * i;
    }
    return result;
  }

  private static long dwords(long low, long high, boolean add) {
    long a = low >>> 32;
    long b = high >>> 32;
    long first = add ? low + a : low - a;
    long second = add ? high + b : high - b;
    return first & 0xFFFF_FFFFL | second << 32;
  }

  static void phaddw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = words(aLow, aHigh, (x, y) -> x + y);
    f.high = words(bLow, bHigh, (x, y) -> x + y);
  }

  static void phaddsw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = words(aLow, aHigh, (x, y) -> Lanes.saturateS16(x + y));
    f.high = words(bLow, bHigh, (x, y) -> Lanes.saturateS16(x + y));
  }

  static void phsubw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = words(aLow, aHigh, (x, y) -> x - y);
    f.high = words(bLow, bHigh, (x, y) -> x - y);
  }

  static void phsubsw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = words(aLow, aHigh, (x, y) -> Lanes.saturateS16(x - y));
    f.high = words(bLow, bHigh, (x, y) -> Lanes.saturateS16(x - y));
  }

  static void phaddd(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = dwords(aLow, aHigh, true);
    f.high = dwords(bLow, bHigh, true);
  }

  static void phsubd(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    f.low = dwords(aLow, aHigh, false);
    f.high = dwords(bLow, bHigh, false);
  }

  /** PHMINPOSUW: the least word and where it was first. */
  static void phminposuw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    int at = 0;
    for (int i = 1; i < 8; i++) {
      if (Shuffles.word(bLow, bHigh, i) < Shuffles.word(bLow, bHigh, at)) {
        at = i;
      }
    }
    f.low = Shuffles.word(bLow, bHigh, at) | (long) at << 16;
    f.high = 0;
  }

  /** MPSADBW: sums of four absolute differences at eight sliding places. */
  static void mpsadbw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    int from = 4 * (n >> 2 & 1);
    int against = 4 * (n & 3);
    long[] halves = new long[2];
    for (int i = 0; i < 8; i++) {
      long sum = 0;
      for (int k = 0; k < 4; k++) {
        long x = Shuffles.byteAt(aLow, aHigh, from + i + k);
        sum += Math.abs(x - Shuffles.byteAt(bLow, bHigh, against + k));
      }
      halves[i / 4] |= sum << 16 * (i & 3);
    }
    f.low = halves[0];
    f.high = halves[1];
  }
}
