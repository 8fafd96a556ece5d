package memvisor.host.policy;

/** Whether a balloon can be relied on. */
public sealed interface BalloonStanding {
  /** It did what it was asked, or was asked for nothing yet. */
  record Good() implements BalloonStanding {}

  /**
   * It is on its way to the size asked for, within its contract.
   *
   * @param owedPages pages still missing
   */
  record Working(long owedPages) implements BalloonStanding {}

  /**
   * It broke its contract.
   *
   * @param reason how, as the end of a sentence
   * @param retryNanos when it is trusted again, on the clock of {@link HostView#timeNanos}
   */
  record Breached(String reason, long retryNanos) implements BalloonStanding {}

  /**
   * There is none, or no driver for it.
   *
   * @param reason why, as the end of a sentence
   */
  record Absent(String reason) implements BalloonStanding {}

  /** Whether pages may be asked of it. */
  default boolean isUsable() {
    return this instanceof Good || this instanceof Working;
  }
}
