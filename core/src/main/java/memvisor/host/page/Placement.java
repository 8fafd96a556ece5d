package memvisor.host.page;

/** How the guest pages of a VM are laid out over machine frames. */
public enum Placement {
  /**
   * Single frames in shuffled order, so that nothing can mistake a guest physical address for a
   * host physical one or count on neighbours being neighbours.
   */
  SCATTERED,
  /** Aligned runs of 1 GiB or 2 MiB where the guest's region and free memory allow, else frames. */
  HUGE,
  /** One run for all memory below 4 GiB, taken at once: what base and limit can describe. */
  CONTIGUOUS
}
