package memvisor.machine;

/** How a run of a VM ended. */
public sealed interface RunOutcome {
  /** The guest switched itself off. */
  record PoweredOff() implements RunOutcome {}

  /** The guest asked for a reset. */
  record Reset() implements RunOutcome {}

  /**
   * The guest wrote the debug-exit port.
   *
   * @param value the byte it wrote
   */
  record DebugExit(int value) implements RunOutcome {}

  /**
   * The guest cannot go on.
   *
   * @param reason one sentence for the user
   */
  record Died(String reason) implements RunOutcome {}

  /** The time or instruction limit was reached. */
  record LimitReached() implements RunOutcome {}

  /** The user stopped it. */
  record Stopped() implements RunOutcome {}
}
