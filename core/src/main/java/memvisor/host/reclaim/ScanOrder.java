package memvisor.host.reclaim;

import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageState;
import memvisor.memory.Backing;

/**
 * The pages of one VM that have frames of their own, in the order of these frames.
 *
 * <p>Pages of a guest lie scattered over machine memory. Read in the guest's order each of them
 * costs the processor a walk into the unknown; read in the order of the frames, prefetching makes
 * that up to two and a half times as fast.
 */
final class ScanOrder {
  /** A key is the frame's number above the page's: machines have at most 2^28 frames. */
  private static final int GFN_BITS = 36;

  private static final int DIGIT_BITS = 14;
  private static final int DIGITS = 2;

  private final GuestFrames frames;
  private long[] keys = new long[0];
  private long[] sorted = new long[0];
  private int size;
  private int next;

  ScanOrder(GuestFrames frames) {
    this.frames = frames;
  }

  boolean hasNext() {
    return next < size;
  }

  /** The next page; it may have lost its frame since the order was made. */
  long next() {
    return keys[next++] & (1L << GFN_BITS) - 1;
  }

  /** Makes the order of the pages as they lie now. */
  void renew() {
    long pages = frames.countsByState()[PageState.RESIDENT.ordinal()];
    if (keys.length < pages) {
      keys = new long[(int) pages];
      sorted = new long[(int) pages];
    }
    size = 0;
    next = 0;
    frames.forEach(
        (region, gfn, entry) -> {
          if (PageEntry.isPrivate(entry)) {
            keys[size++] = Backing.hpa(entry) >>> 12 << GFN_BITS | gfn;
          }
        });
    for (int digit = 0; digit < DIGITS; digit++) {
      sort(GFN_BITS + digit * DIGIT_BITS);
    }
  }

  /** One pass of a radix sort. */
  private void sort(int shift) {
    int[] starts = new int[(1 << DIGIT_BITS) + 1];
    for (int i = 0; i < size; i++) {
      starts[digit(keys[i], shift) + 1]++;
    }
    for (int i = 1; i < starts.length; i++) {
      starts[i] += starts[i - 1];
    }
    for (int i = 0; i < size; i++) {
      sorted[starts[digit(keys[i], shift)]++] = keys[i];
    }
    long[] before = keys;
    keys = sorted;
    sorted = before;
  }

  private static int digit(long key, int shift) {
    return (int) (key >>> shift) & (1 << DIGIT_BITS) - 1;
  }
}
