package memvisor.host.compress;

import memvisor.memory.Hva;

/**
 * Four features of a page's contents. Pages that are alike in most places have some in common,
 * whatever differs elsewhere.
 *
 * <p>A page is cut into 64 blocks of eight words, and of each word only the low twelve bits count:
 * what a kernel relocates, it moves by whole pages, and so where two guests differ in nothing but
 * the addresses of their pointers these bits are the same. The blocks fall into four classes by
 * their hash; the least hash of a class is its feature (min-wise hashing, Broder 1997). A block of
 * zeroes says nothing.
 */
final class PageSketch {
  /** Number of features. */
  static final int FEATURES = 4;

  /** The feature of a class into which no block fell. */
  static final int NONE = 0;

  private static final int BLOCK_BYTES = 64;
  private static final long LOW = 0xFFF;

  private PageSketch() {}

  /** Takes the sketch of the page at {@code hva}. */
  static void of(long hva, int[] features) {
    long least0 = Long.MAX_VALUE;
    long least1 = Long.MAX_VALUE;
    long least2 = Long.MAX_VALUE;
    long least3 = Long.MAX_VALUE;
    for (int offset = 0; offset < PageCodec.PAGE_BYTES; offset += BLOCK_BYTES) {
      long hash = hash(hva + offset);
      if (hash == 0) {
        continue;
      }
      long value = hash & Long.MAX_VALUE >>> 2;
      switch ((int) (hash >>> 62)) {
        case 0 -> least0 = Math.min(least0, value);
        case 1 -> least1 = Math.min(least1, value);
        case 2 -> least2 = Math.min(least2, value);
        default -> least3 = Math.min(least3, value);
      }
    }
    features[0] = feature(least0, 0);
    features[1] = feature(least1, 1);
    features[2] = feature(least2, 2);
    features[3] = feature(least3, 3);
  }

  private static long hash(long hva) {
    long first = lows(hva);
    long second = lows(hva + 32);
    if ((first | second) == 0) {
      return 0;
    }
    long hash = (first * 0x9E37_79B1_85EB_CA87L ^ second) * 0xC2B2_AE3D_27D4_EB4FL;
    hash ^= hash >>> 32;
    return hash * 0xD6E8_FEB8_6659_FD93L;
  }

  /** The low bits of four words, side by side. */
  private static long lows(long hva) {
    return Hva.readLong(hva) & LOW
        | (Hva.readLong(hva + 8) & LOW) << 12
        | (Hva.readLong(hva + 16) & LOW) << 24
        | (Hva.readLong(hva + 24) & LOW) << 36;
  }

  /** Folded to an int, with its class in the lowest bits; never {@link #NONE} if there is one. */
  private static int feature(long least, int number) {
    return least == Long.MAX_VALUE ? NONE : (int) (least >>> 26) << 3 | 4 | number;
  }
}
