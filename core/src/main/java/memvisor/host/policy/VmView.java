package memvisor.host.policy;

/**
 * One VM as the policy sees it. Sizes are in pages of 4 KiB.
 *
 * @param vmId the ledger's number
 * @param terms what it was promised
 * @param residentPages host frames charged to it, its monitor's tables included
 * @param workingSetPages of those, how many it used lately; {@code residentPages} if nobody knows
 * @param coldPages pages that it has left alone for {@link PolicyOptions#trimAfterNanos}, those
 *     left out that are known not to compress
 * @param pressure how much of its time it waited for memory
 * @param refaultsPerSecond pages a second that it had given up and needed again
 * @param balloon its balloon
 */
public record VmView(
    int vmId,
    VmTerms terms,
    long residentPages,
    long workingSetPages,
    long coldPages,
    Pressure pressure,
    long refaultsPerSecond,
    BalloonView balloon) {
  /** Host frames above the floor. */
  long abovePages() {
    return Math.max(0, residentPages - terms.floorPages());
  }

  /** Host frames that it did not use lately. */
  long idlePages() {
    return Math.max(0, residentPages - workingSetPages);
  }
}
