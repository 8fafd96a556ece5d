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
  private final long[] hashes;
  private final int[] vmIds;
  private final long[] gfns;

  /** A table with at least {@code pages} places. */
  public CandidateTable(long pages) {
    int length = (int) Math.min(1 << 24, Long.highestOneBit(Math.max(64, pages * 2 - 1)));
    hashes = new long[length];
    vmIds = new int[length];
    gfns = new long[length];
  }

  /** The place of a hash. */
  public int place(long hash) {
    return (int) (hash * 0x9E37_79B9_7F4A_7C15L >>> 32) & hashes.length - 1;
  }

  /** The VM whose page was last put with exactly this hash; 0: none. */
  public int vmId(long hash) {
    int place = place(hash);
    return hashes[place] == hash ? vmIds[place] : 0;
  }

  /** The guest frame that goes with {@link #vmId}. */
  public long gfn(long hash) {
    return gfns[place(hash)];
  }

  /** Remembers a page. */
  public void put(long hash, int vmId, long gfn) {
    int place = place(hash);
    hashes[place] = hash;
    vmIds[place] = vmId;
    gfns[place] = gfn;
  }
}
