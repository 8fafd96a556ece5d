package memvisor.tlb;

/**
 * Sets of ways, replaced least recently used first: the shape of every TLB and paging-structure
 * cache. Keys are an aligned address, its size and an address space; the payload is two longs and
 * an int whose meaning is the owner's.
 *
 * <p>Columns are arrays, so that neither looking up nor filling allocates. Zero sets make a cache
 * that is switched off.
 */
final class SetAssociativeCache {
  static final int MISS = -1;

  /** No entry has this page: it is not aligned. */
  private static final long EMPTY = 1;

  private final int setMask;
  private final int ways;
  private final long[] page;
  private final byte[] sizeLog2;
  private final long[] space;
  private final long[] filled;
  private final long[] lastUse;

  /** Payload: what the page is mapped to. */
  final long[] target;

  /** Payload: a second address or rights. */
  final long[] detail;

  /** Payload: flags. */
  final int[] flags;

  private long useClock;
  private long sizesSeen;

  /**
   * A cache of {@code sets * ways} entries.
   *
   * @param sets a power of two, or 0 for a cache that is off
   * @param ways entries per set
   */
  SetAssociativeCache(int sets, int ways) {
    if (sets < 0 || (sets & sets - 1) != 0 || ways < 0) {
      throw new IllegalArgumentException(
          "sets are a power of two or zero: sets=%d ways=%d".formatted(sets, ways));
    }
    int entries = sets * ways;
    setMask = sets - 1;
    this.ways = entries == 0 ? 0 : ways;
    page = new long[entries];
    sizeLog2 = new byte[entries];
    space = new long[entries];
    filled = new long[entries];
    lastUse = new long[entries];
    target = new long[entries];
    detail = new long[entries];
    flags = new int[entries];
    java.util.Arrays.fill(page, EMPTY);
  }

  private int firstOf(long address, int log2) {
    return ((int) (address >>> log2) & setMask) * ways;
  }

  /** The slot of the living entry of that size around {@code address}, or {@link #MISS}. */
  int find(long address, int log2, AddressSpace in) {
    int slot = probe(address, log2, in);
    if (slot != MISS) {
      lastUse[slot] = ++useClock;
    }
    return slot;
  }

  /** As {@link #find}, but looking does not count as use. */
  int probe(long address, int log2, AddressSpace in) {
    if (ways == 0 || (sizesSeen >>> log2 & 1) == 0) {
      return MISS;
    }
    long wanted = address & -1L << log2;
    int first = firstOf(address, log2);
    for (int slot = first; slot < first + ways; slot++) {
      if (page[slot] == wanted && sizeLog2[slot] == log2 && in.isAlive(space[slot], filled[slot])) {
        return slot;
      }
    }
    return MISS;
  }

  /** The slot for a new entry, which replaces the same page's, a dead or the oldest one. */
  int fill(long address, int log2, AddressSpace in, boolean global) {
    if (ways == 0) {
      return MISS;
    }
    long wanted = address & -1L << log2;
    int first = firstOf(address, log2);
    int victim = first;
    for (int slot = first; slot < first + ways; slot++) {
      if (page[slot] == wanted && sizeLog2[slot] == log2 && in.isAlive(space[slot], filled[slot])) {
        victim = slot;
        break;
      }
      if (lastUse[slot] < lastUse[victim]) {
        victim = slot;
      }
    }
    sizesSeen |= 1L << log2;
    page[victim] = wanted;
    sizeLog2[victim] = (byte) log2;
    space[victim] = global ? in.globalSpace : in.space;
    filled[victim] = in.now();
    lastUse[victim] = ++useClock;
    return victim;
  }

  /** Drops every entry, of any size, around {@code address} in the address space or global. */
  void dropPage(long address, AddressSpace in) {
    for (long sizes = ways == 0 ? 0 : sizesSeen; sizes != 0; sizes &= sizes - 1) {
      int log2 = Long.numberOfTrailingZeros(sizes);
      long wanted = address & -1L << log2;
      int first = firstOf(address, log2);
      for (int slot = first; slot < first + ways; slot++) {
        if (page[slot] == wanted
            && sizeLog2[slot] == log2
            && (space[slot] == in.space || space[slot] == in.globalSpace)) {
          drop(slot);
        }
      }
    }
  }

  /** Drops every entry whose {@link #detail} address range meets {@code [start, end)}. */
  void dropDetail(long start, long end) {
    for (int slot = 0; slot < page.length; slot++) {
      if (page[slot] != EMPTY
          && detail[slot] < end
          && detail[slot] + (1L << sizeLog2[slot]) > start) {
        drop(slot);
      }
    }
  }

  private void drop(int slot) {
    page[slot] = EMPTY;
    lastUse[slot] = 0;
  }

  int sizeLog2(int slot) {
    return sizeLog2[slot];
  }

  /** Sizes, as bits, that were ever filled. */
  long sizesSeen() {
    return sizesSeen;
  }

  int entries() {
    return page.length;
  }
}
