package memvisor.host.policy;

import java.util.OptionalLong;

/**
 * A VM's balloon. Sizes are in pages of 4 KiB.
 *
 * @param standing whether it can be used, and if not, why
 * @param targetPages the size asked for
 * @param balloonedPages guest pages that are in it, as the ledger counts, whatever the driver says
 * @param availablePages what the guest says it can spare; empty if it does not say
 */
public record BalloonView(
    BalloonStanding standing, long targetPages, long balloonedPages, OptionalLong availablePages) {
  /** A VM without a balloon. */
  public static final BalloonView NONE =
      new BalloonView(
          new BalloonStanding.Absent("the VM has no balloon"), 0, 0, OptionalLong.empty());
}
