package memvisor.paging;

/** Whoever wants to hear of each table entry that a {@link Walker} reads, in order. */
public interface ReferenceListener {
  /**
   * One entry was read.
   *
   * @param walker the walker, whose {@code entryAddress}, {@code entryHpa} and {@code rights} tell
   *     the rest
   * @param level the entry's level
   * @param entry its value
   */
  void reference(Walker walker, int level, long entry);
}
