package memvisor.host.policy;

/**
 * Holds one balloon to its {@link BalloonContract}, on its VM's clock: a guest that does not run
 * breaks nothing.
 *
 * <p>What counts is what the ledger says, not what the driver claims.
 */
public final class BalloonWatch {
  private static final int DOUBLINGS = 6;

  private final BalloonContract contract;
  private BalloonStanding standing = new BalloonStanding.Good();
  private int breaches;

  /** Since when it owes pages, how big it was then, and how big it ever was since. */
  private long debtNanos;

  private long debtPages;
  private long mostPages;
  private long progressNanos;
  private boolean owes;

  /** Since when the driver claims more than there is. */
  private long claimNanos = Long.MAX_VALUE;

  private long trustedLies;
  private long trustedTouches;
  private long trustedTakenBack;
  private long lastTarget = -1;
  private long vmNanos = -1;
  private long lastMoveNanos;
  private long retryVmNanos;

  /** Watches a balloon that has not been asked for anything. */
  public BalloonWatch(BalloonContract contract) {
    this.contract = contract;
  }

  /** What to think of the balloon now. */
  public BalloonStanding standing() {
    return standing;
  }

  /**
   * Looks at the balloon.
   *
   * @param nowNanos the host's clock
   * @param vmNanosNow the VM's clock, which stands still while the VM is paused
   */
  public BalloonStanding observe(long nowNanos, long vmNanosNow, BalloonSighting seen) {
    if (vmNanosNow != vmNanos) {
      vmNanos = vmNanosNow;
      lastMoveNanos = nowNanos;
    }
    standing = judge(nowNanos, seen);
    lastTarget = seen.targetPages();
    return standing;
  }

  private BalloonStanding judge(long nowNanos, BalloonSighting seen) {
    if (!seen.driverRunning()) {
      owes = false;
      return new BalloonStanding.Absent(
          seen.deviceFailure().isEmpty()
              ? "its guest has no balloon driver"
              : "its balloon driver broke the rules: " + seen.deviceFailure());
    }
    if (nowNanos - lastMoveNanos > contract.deadlineNanos()) {
      return new BalloonStanding.Absent("it stands still");
    }
    if (standing instanceof BalloonStanding.Breached && vmNanos < retryVmNanos) {
      return standing;
    }
    if (standing instanceof BalloonStanding.Breached) {
      forgive(seen);
    }
    String breach = breach(seen);
    if (!breach.isEmpty()) {
      return breached(nowNanos, breach);
    }
    if (owes) {
      return new BalloonStanding.Working(seen.targetPages() - seen.balloonedPages());
    }
    return new BalloonStanding.Good();
  }

  private void forgive(BalloonSighting seen) {
    owes = false;
    claimNanos = Long.MAX_VALUE;
    trustedLies = seen.liesPages();
    trustedTouches = seen.touchedPages();
    trustedTakenBack = seen.takenBackPages();
  }

  private BalloonStanding breached(long nowNanos, String reason) {
    long pause = contract.retryNanos() << Math.min(DOUBLINGS, breaches++);
    retryVmNanos = vmNanos + pause;
    return new BalloonStanding.Breached(reason, nowNanos + pause);
  }

  /** How the contract is broken, as the end of a sentence; empty if it is kept. */
  private String breach(BalloonSighting seen) {
    long lies = seen.liesPages() - trustedLies;
    if (lies > contract.toleratedLies()) {
      return "its balloon driver named %d pages that it had no reason to name".formatted(lies);
    }
    long touched = seen.touchedPages() - trustedTouches;
    if (touched > contract.toleratedLies()) {
      return "its guest uses %d pages that it had given up".formatted(touched);
    }
    String claim = falseClaim(seen);
    return claim.isEmpty() ? debt(seen) : claim;
  }

  private String falseClaim(BalloonSighting seen) {
    if (seen.claimedPages() <= seen.balloonedPages() + contract.toleratedLies()) {
      claimNanos = Long.MAX_VALUE;
      return "";
    }
    // A driver says how big the balloon is when it is done: a little later is no lie.
    claimNanos = Math.min(claimNanos, vmNanos);
    return vmNanos - claimNanos < contract.deadlineNanos()
        ? ""
        : "its balloon driver claims %d pages and gave %d"
            .formatted(seen.claimedPages(), seen.balloonedPages());
  }

  private String debt(BalloonSighting seen) {
    long ballooned = seen.balloonedPages();
    if (ballooned >= seen.targetPages()) {
      if (owes) {
        breaches = 0;
      }
      owes = false;
      trustedTakenBack = seen.takenBackPages();
      return "";
    }
    if (!owes || seen.targetPages() < lastTarget) {
      begin(seen);
    }
    long takenBack = seen.takenBackPages() - trustedTakenBack;
    if (takenBack > contract.toleratedLies()) {
      return seen.mayTakeBack()
          ? "its guest ran out of memory and took %d pages back".formatted(takenBack)
          : "its guest took %d pages back that it was asked to give".formatted(takenBack);
    }
    if (ballooned > mostPages) {
      mostPages = ballooned;
      progressNanos = vmNanos;
    }
    return liveness(seen);
  }

  private void begin(BalloonSighting seen) {
    owes = true;
    debtNanos = vmNanos;
    debtPages = seen.balloonedPages();
    mostPages = debtPages;
    progressNanos = debtNanos;
    trustedTakenBack = seen.takenBackPages();
  }

  private String liveness(BalloonSighting seen) {
    long still = vmNanos - progressNanos;
    if (still >= contract.deadlineNanos()) {
      String spare =
          seen.availablePages().isPresent()
              ? ": its guest can spare %d pages".formatted(seen.availablePages().getAsLong())
              : "";
      return "its balloon stands at %d of %d pages for %.1f s%s"
          .formatted(seen.balloonedPages(), seen.targetPages(), still / 1e9, spare);
    }
    // As of when it last grew: standing still since then is the deadline's business.
    long elapsed = progressNanos - debtNanos;
    long due = contract.pagesPerSecond() * (elapsed / 1_000_000) / 1000;
    if (elapsed >= contract.deadlineNanos() && mostPages - debtPages < due) {
      return "its balloon grew by %d pages in %.1f s, not the %d a second it owes"
          .formatted(mostPages - debtPages, elapsed / 1e9, contract.pagesPerSecond());
    }
    return "";
  }
}
