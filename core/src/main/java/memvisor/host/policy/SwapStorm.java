package memvisor.host.policy;

/**
 * A VM that spends its time bringing back pages that were taken from it: its working set does not
 * fit into what it has.
 *
 * @param vmId who
 * @param sinceNanos since when, in nanoseconds since the machine was made
 * @param refaultsPerSecond pages a second that come back
 * @param waitingPercent share of its time that it waits for them
 */
public record SwapStorm(int vmId, long sinceNanos, long refaultsPerSecond, double waitingPercent) {
  /** The storm as one sentence. */
  public String sentence(String who, long nowNanos) {
    return "%s is in a swap storm for %.0f s: %d pages a second come back, and it waits for them %.0f%% of its time"
        .formatted(who, (nowNanos - sinceNanos) / 1e9, refaultsPerSecond, waitingPercent);
  }
}
