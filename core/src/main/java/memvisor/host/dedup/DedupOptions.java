package memvisor.host.dedup;

/**
 * KSM's knobs (Linux, admin-guide/mm/ksm).
 *
 * @param run whether pages are scanned and merged
 * @param pagesToScan pages per batch
 * @param sleepMilliseconds time of the VM's clock between two batches
 * @param maxPageSharing most guest pages on one frame: bounds the work that giving it up costs
 * @param useZeroPages whether pages of zeroes are merged with the one page of zeroes
 * @param hash content hash
 */
public record DedupOptions(
    boolean run,
    int pagesToScan,
    long sleepMilliseconds,
    int maxPageSharing,
    boolean useZeroPages,
    PageHash hash) {
  /** Merging switched off. */
  public static final DedupOptions OFF =
      new DedupOptions(false, 1024, 20, 256, false, PageHash.FOUR_LANES);

  /** Merging with defaults: 1024 pages every 20 ms, as most distributions set KSM under load. */
  public static final DedupOptions ON =
      new DedupOptions(true, 1024, 20, 256, true, PageHash.FOUR_LANES);

  /** Checks the ranges. */
  public DedupOptions {
    if (pagesToScan < 1 || sleepMilliseconds < 0 || maxPageSharing < 2) {
      throw new IllegalArgumentException(
          "pagesToScan=%d sleepMilliseconds=%d maxPageSharing=%d: at least 1, 0 and 2"
              .formatted(pagesToScan, sleepMilliseconds, maxPageSharing));
    }
  }

  /** The same with another hash. */
  public DedupOptions withHash(PageHash newHash) {
    return new DedupOptions(
        run, pagesToScan, sleepMilliseconds, maxPageSharing, useZeroPages, newHash);
  }

  /** The same with another bound on sharers. */
  public DedupOptions withMaxPageSharing(int most) {
    return new DedupOptions(run, pagesToScan, sleepMilliseconds, most, useZeroPages, hash);
  }
}
