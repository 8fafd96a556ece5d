package memvisor.host.reclaim;

/**
 * How long the scan of one VM for equal pages pauses between two batches: as the knob says while
 * scanning pays, ever longer while it does not.
 *
 * <p>It pays as long as full scans merge more pages than the guest takes back by writing. A guest
 * at work that has merged what it can would otherwise lose a tenth of its processor to hashing the
 * same pages again, and to copying those that were merged while they were free for a moment. The
 * VM's lock, or the VM stands still.
 */
final class ScanPace {
  /** A full scan pays that merges one page in so many, net. */
  private static final int WORTH = 64;

  private static final int SLOWEST = 32;

  private int factor = 1;
  private long lost;

  /** A page that was merged is the guest's own again. */
  void unshared() {
    lost++;
  }

  /** A full scan has ended that looked at so many pages, and merged so many of them. */
  void scanned(long looked, long merged) {
    boolean pays = merged > lost && (merged - lost) * WORTH >= looked;
    factor = pays ? Math.max(1, factor / 4) : Math.min(SLOWEST, 2 * factor);
    lost = 0;
  }

  /** Memory is short: every page counts. */
  void hurry() {
    factor = 1;
  }

  /** Between two batches, where the knob says {@code milliseconds}. */
  long pauseNanos(long milliseconds) {
    return milliseconds * 1_000_000 * factor;
  }
}
