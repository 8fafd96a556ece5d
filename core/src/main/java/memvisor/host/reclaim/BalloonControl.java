package memvisor.host.reclaim;

import memvisor.host.policy.BalloonSighting;

/**
 * The balloon of a VM, for the policy. {@code machine} implements it. From any thread; no call
 * waits for the guest.
 */
public interface BalloonControl {
  /** Asks the driver to bring the balloon to that size, in pages of 4 KiB. */
  void setTargetPages(long pages);

  /** Asks the driver for new statistics. */
  void requestStatistics();

  /** The balloon as it is now, or was a moment ago. */
  BalloonSighting sighting();
}
