package memvisor.host.dedup;

/**
 * KSM's knobs (Linux, admin-guide/mm/ksm).
 *
 * @param run whether pages are scanned and merged
 * @param pagesToScan pages per batch
 * @param sleepMilliseconds time of the VM's clock between two batches
 * @param maxSlowDown how many times longer that time may get while scanning does not pay; 1: never
 * @param maxPageSharing most guest pages on one frame: bounds the work that giving it up costs
 * @param useZeroPages whether pages of zeroes are merged with the one page of zeroes
 * @param hash content hash
 */
public record DedupOptions(
    boolean run,
    int pagesToScan,
    long sleepMilliseconds,
    int maxSlowDown,
    int maxPageSharing,
    boolean useZeroPages,
    PageHash hash) {
  /**
   * A scan that took a tenth of a guest's processor takes little more than a hundredth then, and
   * pages that become equal are still merged within seconds.
   */
  private static final int SLOW_DOWN = 8;

  /** Merging switched off. */
  public static final DedupOptions OFF =
      new DedupOptions(false, 1024, 20, SLOW_DOWN, 256, false, PageHash.FOUR_LANES);

  /** Merging with defaults: 1024 pages every 20 ms, as most distributions set KSM under load. */
  public static final DedupOptions ON =
      new DedupOptions(true, 1024, 20, SLOW_DOWN, 256, true, PageHash.FOUR_LANES);

  /** Checks the ranges. */
  public DedupOptions {
    if (pagesToScan < 1 || sleepMilliseconds < 0 || maxSlowDown < 1 || maxPageSharing < 2) {
      throw new IllegalArgumentException(
          "pagesToScan=%d sleepMilliseconds=%d maxSlowDown=%d maxPageSharing=%d: at least 1, 0, 1, 2"
              .formatted(pagesToScan, sleepMilliseconds, maxSlowDown, maxPageSharing));
    }
  }

  /** The same with another hash. */
  public DedupOptions withHash(PageHash newHash) {
    return with(sleepMilliseconds, maxSlowDown, maxPageSharing, newHash);
  }

  /** The same with another bound on sharers. */
  public DedupOptions withMaxPageSharing(int most) {
    return with(sleepMilliseconds, maxSlowDown, most, hash);
  }

  /** The same with another pause between two batches. */
  public DedupOptions withSleepMilliseconds(long milliseconds) {
    return with(milliseconds, maxSlowDown, maxPageSharing, hash);
  }

  /** The same with another bound on how much slower the scan may get. */
  public DedupOptions withMaxSlowDown(int most) {
    return with(sleepMilliseconds, most, maxPageSharing, hash);
  }

  private DedupOptions with(long sleep, int slowDown, int sharing, PageHash newHash) {
    return new DedupOptions(run, pagesToScan, sleep, slowDown, sharing, useZeroPages, newHash);
  }
}
