package memvisor.host;

import memvisor.host.Decision.Step;

/** Which means comes next: the mildest one that is allowed and has not run dry. */
final class ReclaimPolicy {
  private final ReclaimOptions options;

  ReclaimPolicy(ReclaimOptions options) {
    this.options = options;
  }

  boolean isLow(long freeFrames) {
    return freeFrames < options.lowFrames();
  }

  boolean isEnough(long freeFrames) {
    return freeFrames >= options.highFrames();
  }

  /** The step after {@code previous} ran dry. */
  Step next(Step previous) {
    return switch (previous) {
      case MERGE -> options.compress() ? Step.COMPRESS : next(Step.COMPRESS);
      case COMPRESS -> options.swap().isPresent() ? Step.SWAP : Step.GIVE_UP;
      case SWAP, GIVE_UP -> Step.GIVE_UP;
    };
  }

  /** The mildest step allowed. */
  Step first() {
    return options.dedup().run() ? Step.MERGE : next(Step.MERGE);
  }

  String because(long freeFrames) {
    return "%d frames were free, fewer than %d".formatted(freeFrames, options.lowFrames());
  }
}
