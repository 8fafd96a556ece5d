package memvisor.host.policy;

/**
 * How short of free frames a machine is, and what that permits.
 *
 * <p>A state is entered when less than its share is free and left when a quarter more than that is
 * free, so that a machine at a border does not change its mind with every page.
 */
public enum MemoryState {
  /** Enough is free: balloons are given back, pages are merged at leisure. */
  HIGH(Integer.MAX_VALUE),
  /**
   * Less than 5%: merge faster and ask balloons. A guest takes seconds to find pages for its
   * balloon, so it is asked while the machine can still serve its VMs from what is free.
   */
  SOFT(50),
  /**
   * Less than 3%: compress, and swap out what does not compress, without asking the guest. The 2%
   * between are what the VMs may take while their balloons are asked.
   */
  HARD(30),
  /**
   * Less than 1.5%: as {@link #HARD}, and a VM gives all that is asked of it before it runs on. The
   * rest is for what VMs take until they come to their next block boundary, and for the monitor's
   * own tables.
   */
  LOW(15);

  private static final int HYSTERESIS_DIVISOR = 4;

  private final int enterPerMille;

  MemoryState(int enterPerMille) {
    this.enterPerMille = enterPerMille;
  }

  /** Free frames below which the state begins, of a machine of {@code totalFrames}. */
  public long entersBelow(long totalFrames) {
    return this == HIGH ? Long.MAX_VALUE : Math.max(1, totalFrames * enterPerMille / 1000);
  }

  /** Free frames from which on the state ends. */
  public long endsAt(long totalFrames) {
    if (this == HIGH) {
      return Long.MAX_VALUE;
    }
    long enters = entersBelow(totalFrames);
    return enters + Math.max(1, enters / HYSTERESIS_DIVISOR);
  }

  /** The state after this one, when so many frames are free. */
  MemoryState next(long freeFrames, long totalFrames) {
    MemoryState state = HIGH;
    for (MemoryState worse : values()) {
      long border =
          worse.ordinal() <= ordinal() ? worse.endsAt(totalFrames) : worse.entersBelow(totalFrames);
      if (worse != HIGH && freeFrames < border) {
        state = worse;
      }
    }
    return state;
  }
}
