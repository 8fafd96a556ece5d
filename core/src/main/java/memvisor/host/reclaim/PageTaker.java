package memvisor.host.reclaim;

/** A means of taking pages' frames away while their contents are kept; the VM stands still. */
@FunctionalInterface
interface PageTaker {
  /** What {@link #take} answers when trying on is of no use. */
  int EXHAUSTED = -1;

  /**
   * Takes pages of a region that have frames of their own.
   *
   * @param gfns the pages, ascending, in the first {@code count} elements
   * @return how many were taken, or {@link #EXHAUSTED}
   */
  int take(int region, long[] gfns, int count);
}
