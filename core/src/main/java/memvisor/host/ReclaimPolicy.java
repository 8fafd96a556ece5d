package memvisor.host;

import memvisor.host.policy.Decision.Step;

/** Which means comes next: the mildest one that is allowed and has not run dry. */
final class ReclaimPolicy {
  private final ReclaimOptions options;

  ReclaimPolicy(ReclaimOptions options) {
    this.options = options;
  }

  /** The step after {@code previous} ran dry. */
  Step next(Step previous) {
    return switch (previous) {
      case MERGE -> options.compress() ? Step.COMPRESS : next(Step.COMPRESS);
      case COMPRESS -> options.swap().isPresent() ? Step.SWAP : Step.GIVE_UP;
      default -> Step.GIVE_UP;
    };
  }

  /** The mildest step allowed. */
  Step first() {
    return options.dedup().run() ? Step.MERGE : next(Step.MERGE);
  }
}
