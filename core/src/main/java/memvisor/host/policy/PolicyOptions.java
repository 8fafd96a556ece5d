package memvisor.host.policy;

/**
 * The knobs of the policy.
 *
 * @param idleTaxPercent of a page that a VM does not use, how much its claim to it is discounted: 0
 *     leaves shares alone to decide, 75 makes an idle page cost four times as much as a used one
 * @param tickNanos how often the policy looks, in nanoseconds of the host's clock
 * @param settleNanos how long nothing must have been taken from anybody before a balloon is given
 *     back; doubled for a VM each time that turned out to be too early
 * @param stormPercent waiting from which on a VM is said to be in a swap storm, in percent of its
 *     time over ten seconds
 * @param trimAfterNanos how long a VM must have left a page alone, on its own clock, for the page
 *     to be compressed although nothing is short; 0: never
 * @param contract what is expected of balloons
 */
public record PolicyOptions(
    int idleTaxPercent,
    long tickNanos,
    long settleNanos,
    int stormPercent,
    long trimAfterNanos,
    BalloonContract contract) {
  /**
   * The defaults: the idle tax of ESX (75%); a look every quarter of a second, in which a VM of
   * this monitor takes a few MiB; five seconds of calm; a fifth of the time spent waiting; pages
   * untouched for half a minute.
   */
  public static final PolicyOptions DEFAULT =
      new PolicyOptions(
          75, 250_000_000L, 5_000_000_000L, 20, 30_000_000_000L, BalloonContract.DEFAULT);

  /** Checks the ranges. */
  public PolicyOptions {
    if (idleTaxPercent < 0 || idleTaxPercent > 99) {
      throw new IllegalArgumentException(
          "the tax on idle memory is 0 to 99 percent, not " + idleTaxPercent);
    }
    if (tickNanos <= 0
        || settleNanos < 0
        || trimAfterNanos < 0
        || stormPercent < 1
        || stormPercent > 100) {
      throw new IllegalArgumentException(
          "tickNanos=%d settleNanos=%d stormPercent=%d trimAfterNanos=%d"
              .formatted(tickNanos, settleNanos, stormPercent, trimAfterNanos));
    }
  }

  /** The same with another tax. */
  public PolicyOptions withIdleTaxPercent(int percent) {
    return new PolicyOptions(
        percent, tickNanos, settleNanos, stormPercent, trimAfterNanos, contract);
  }

  /** The same with another period. */
  public PolicyOptions withTickNanos(long nanos) {
    return new PolicyOptions(
        idleTaxPercent, nanos, settleNanos, stormPercent, trimAfterNanos, contract);
  }

  /** The same, but with pages compressed after another time; 0: only in need. */
  public PolicyOptions withTrimAfterNanos(long nanos) {
    return new PolicyOptions(idleTaxPercent, tickNanos, settleNanos, stormPercent, nanos, contract);
  }

  /** The same with another balloon contract. */
  public PolicyOptions withContract(BalloonContract newContract) {
    return new PolicyOptions(
        idleTaxPercent, tickNanos, settleNanos, stormPercent, trimAfterNanos, newContract);
  }
}
