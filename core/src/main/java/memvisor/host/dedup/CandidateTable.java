package memvisor.host.dedup;

/**
 * Pages that held the same contents twice in a row, by content hash: one per place, the latest
 * wins.
 *
 * <p>An entry is a hint and nothing more: whoever finds one looks whether it is still true. So
 * nothing has to be removed, and memory is bounded. A page that lost its place delays a merge until
 * it is scanned again. Not thread-safe.
 */
public final class CandidateTable {
  /** No candidate. */
  public static final long NONE = 0;

  private static final int VM_SHIFT = 40;

  /** A hash and its candidate at a time, so that looking costs one line of the cache. */
  private final long[] places;

  /** A table with at least {@code pages} places. */
  public CandidateTable(long pages) {
    int length = (int) Math.min(1 << 24, Long.highestOneBit(Math.max(64, pages * 2 - 1)));
    places = new long[length * 2];
  }

  /** A page as a candidate. */
  public static long candidate(int vmId, long gfn) {
    return (long) vmId << VM_SHIFT | gfn;
  }

  /** The VM of a candidate, 0 for {@link #NONE}. */
  public static int vmId(long candidate) {
    return (int) (candidate >>> VM_SHIFT);
  }

  /** The guest frame of a candidate. */
  public static long gfn(long candidate) {
    return candidate & (1L << VM_SHIFT) - 1;
  }

  private int place(long hash) {
    return (int) (hash * 0x9E37_79B9_7F4A_7C15L >>> 33) * 2 & places.length - 2;
  }

  /** The page last put with exactly this hash, or {@link #NONE}. */
  public long get(long hash) {
    int place = place(hash);
    return places[place] == hash ? places[place + 1] : NONE;
  }

  /** Remembers a page. */
  public void put(long hash, long candidate) {
    int place = place(hash);
    places[place] = hash;
    places[place + 1] = candidate;
  }
}
