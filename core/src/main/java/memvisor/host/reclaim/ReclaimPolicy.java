package memvisor.host.reclaim;

import memvisor.host.policy.Decision.Step;

/** By which means pages are taken from a VM: the mildest one that is allowed and not exhausted. */
final class ReclaimPolicy {
  private final ReclaimOptions options;

  ReclaimPolicy(ReclaimOptions options) {
    this.options = options;
  }

  /** The mildest means allowed; {@link Step#GIVE_UP} if there is none. */
  Step first() {
    return options.compress() ? Step.COMPRESS : next(Step.COMPRESS);
  }

  /** The means after {@code previous}. */
  Step next(Step previous) {
    return previous == Step.COMPRESS && options.swap().isPresent() ? Step.SWAP : Step.GIVE_UP;
  }
}
