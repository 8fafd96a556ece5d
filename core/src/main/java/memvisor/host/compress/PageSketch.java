package memvisor.host.compress;

import java.util.Arrays;
import memvisor.memory.Hva;

/**
 * Four features of a page's contents. Pages that are alike in most places have some in common,
 * whatever differs elsewhere.
 *
 * <p>A page is cut into 64 blocks of eight words, and of every other word the low sixteen bits
 * count: what a kernel relocates it moves by megabytes, and so where two guests differ in nothing
 * but the addresses of their pointers these bits are the same. The blocks fall into four classes by
 * their hash; the least hash of a class is its feature (min-wise hashing, Broder 1997). A block of
 * zeroes says nothing. Not thread-safe.
 */
final class PageSketch {
  /** Number of features. */
  static final int FEATURES = 4;

  /** The feature of a class into which no block fell. */
  static final int NONE = 0;

  private static final int BLOCK_BYTES = 64;

  private final long[] least = new long[FEATURES];

  /** Takes the sketch of the page at {@code hva}. */
  void of(long hva, int[] features) {
    Arrays.fill(least, Long.MAX_VALUE);
    for (int offset = 0; offset < PageCodec.PAGE_BYTES; offset += BLOCK_BYTES) {
      long hash = hash(hva + offset);
      // Indexed, for nobody can predict which class comes next. The hash of zeroes is zero.
      int number = (int) (hash >>> 62);
      long value = hash == 0 ? Long.MAX_VALUE : hash & Long.MAX_VALUE >>> 2;
      least[number] = Math.min(least[number], value);
    }
    for (int number = 0; number < FEATURES; number++) {
      features[number] = feature(least[number], number);
    }
  }

  private static long hash(long hva) {
    long low =
        Hva.readShort(hva)
            | (long) Hva.readShort(hva + 16) << 16
            | (long) Hva.readShort(hva + 32) << 32
            | (long) Hva.readShort(hva + 48) << 48;
    long hash = low * 0x9E37_79B1_85EB_CA87L;
    return (hash ^ hash >>> 32) * 0xD6E8_FEB8_6659_FD93L;
  }

  /** Folded to an int, with its class in the lowest bits; never {@link #NONE} if there is one. */
  private static int feature(long least, int number) {
    return least == Long.MAX_VALUE ? NONE : (int) (least >>> 26) << 3 | 4 | number;
  }
}
