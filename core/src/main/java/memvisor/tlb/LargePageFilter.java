package memvisor.tlb;

import java.util.Arrays;

/**
 * Remembers roughly where pages larger than 4 KiB were used in 4 KiB pieces, so that INVLPG of an
 * ordinary page stays cheap and INVLPG of a large one drops all its pieces.
 *
 * <p>Two sets of hashed bits: 4 MiB granules touched through 2M or 4M pages, and 1 GiB granules
 * touched through 1G pages. May say yes too often, never no too often.
 */
final class LargePageFilter {
  private static final int BITS = 1 << 12;
  private static final int GRANULE_LOG2 = 22;
  private static final int HUGE_LOG2 = 30;

  private final long[] large = new long[BITS / 64];
  private final long[] huge = new long[BITS / 64];
  private boolean empty = true;

  private static int hash(long granule) {
    return (int) (granule * 0x9E37_79B9_7F4A_7C15L >>> 52);
  }

  /** A piece around {@code gva} of a page of that size is in use. */
  void note(long gva, int pageSizeLog2) {
    if (pageSizeLog2 > 12) {
      empty = false;
      boolean isHuge = pageSizeLog2 >= HUGE_LOG2;
      int bit = hash(gva >>> (isHuge ? HUGE_LOG2 : GRANULE_LOG2));
      (isHuge ? huge : large)[bit >>> 6] |= 1L << bit;
    }
  }

  /** Whether a page larger than 4 KiB may cover {@code gva}. */
  boolean mayCover(long gva) {
    if (empty) {
      return false;
    }
    int largeBit = hash(gva >>> GRANULE_LOG2);
    int hugeBit = hash(gva >>> HUGE_LOG2);
    return (large[largeBit >>> 6] >>> largeBit & 1) != 0
        || (huge[hugeBit >>> 6] >>> hugeBit & 1) != 0;
  }

  void clear() {
    if (!empty) {
      Arrays.fill(large, 0);
      Arrays.fill(huge, 0);
      empty = true;
    }
  }
}
