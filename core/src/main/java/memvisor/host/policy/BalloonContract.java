package memvisor.host.policy;

/**
 * What a balloon owes its host. A guest that breaks it harms nobody: the policy goes on to harsher
 * means for that VM, says why, and trusts the balloon again later.
 *
 * @param pagesPerSecond how fast it must grow, in pages of 4 KiB a second, on average over {@code
 *     deadlineNanos}
 * @param deadlineNanos liveness: how long it may stand still while it owes pages
 * @param marginPercent floor: of the guest's memory, how much of what it can spare is left to it,
 *     in percent
 * @param toleratedLies pages that a driver may name without reason, or touch while they are in the
 *     balloon, before it is not believed any more
 * @param retryNanos how long a balloon that broke its contract is left alone; doubled each time
 */
public record BalloonContract(
    long pagesPerSecond,
    long deadlineNanos,
    int marginPercent,
    long toleratedLies,
    long retryNanos) {
  /**
   * 1 MiB a second (Linux' driver sleeps a fifth of a second when it finds no page at once); three
   * seconds; a twentieth; one request of Linux' driver, 256 pages; half a minute.
   */
  public static final BalloonContract DEFAULT =
      new BalloonContract(256, 3_000_000_000L, 5, 256, 30_000_000_000L);

  /** Checks the ranges. */
  public BalloonContract {
    if (pagesPerSecond <= 0
        || deadlineNanos <= 0
        || marginPercent < 0
        || marginPercent > 100
        || toleratedLies < 0
        || retryNanos <= 0) {
      throw new IllegalArgumentException(
          "pagesPerSecond=%d deadlineNanos=%d marginPercent=%d toleratedLies=%d retryNanos=%d"
              .formatted(pagesPerSecond, deadlineNanos, marginPercent, toleratedLies, retryNanos));
    }
  }

  /** Pages that are left to a guest of that size. */
  long marginPages(long promisedPages) {
    return promisedPages * marginPercent / 100;
  }
}
