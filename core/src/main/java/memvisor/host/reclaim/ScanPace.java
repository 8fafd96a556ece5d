package memvisor.host.reclaim;

import memvisor.host.dedup.DedupOptions;

/**
 * How long the scan of one VM for equal pages pauses between two batches: as the knob says while
 * scanning pays, ever longer while it does not, up to {@link DedupOptions#maxSlowDown} times.
 *
 * <p>It pays as long as full scans merge more pages than the guest takes back by writing. A guest
 * at work that has merged what it can would otherwise lose a tenth of its processor to hashing the
 * same pages again, and to copying those that were merged while they were free for a moment. The
 * VM's lock, or the VM stands still.
 */
final class ScanPace {
  /** A full scan pays that merges one page in so many, net. */
  private static final int WORTH = 64;

  private final DedupOptions options;
  private int factor = 1;
  private long lost;
  private String because = "no full scan has ended";

  ScanPace(DedupOptions options) {
    this.options = options;
  }

  /** A page that was merged is the guest's own again. */
  void unshared() {
    lost++;
  }

  /** A full scan has ended that looked at so many pages, and merged so many of them. */
  void scanned(long looked, long merged) {
    boolean pays = merged > lost && (merged - lost) * WORTH >= looked;
    factor = pays ? Math.max(1, factor / 4) : Math.min(options.maxSlowDown(), 2 * factor);
    because =
        "the last full scan merged %d of %d pages, and the guest wrote %d that were merged: that %s"
            .formatted(merged, looked, lost, pays ? "pays" : "does not pay");
    lost = 0;
  }

  /** Memory is short: every page counts. */
  void hurry() {
    if (factor > 1) {
      factor = 1;
      because = "memory is short";
    }
  }

  /** The VM's clock between two batches. */
  long pauseNanos() {
    return options.sleepMilliseconds() * 1_000_000 * factor;
  }

  /** The pace and its reason. */
  ScanRate rate() {
    return new ScanRate(options.pagesToScan(), pauseNanos() / 1_000_000, factor, because);
  }
}
