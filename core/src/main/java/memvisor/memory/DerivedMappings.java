package memvisor.memory;

import java.util.function.LongConsumer;

/**
 * Whoever holds entries derived from GPA → HPA (shadow and nested tables, TLBs, translation
 * caches).
 *
 * <p>Host memory announces a change here and goes on only when the call returns: from then on
 * nothing reaches the old frame (DESIGN: announce, drop, acknowledge, only then move).
 */
public interface DerivedMappings {
  /** Drops everything derived from guest frames {@code [firstGfn, firstGfn + count)}. */
  void invalidate(long firstGfn, long count);

  /** Makes everything derived from those guest frames read-only (dirty tracking, sharing). */
  void writeProtect(long firstGfn, long count);

  /**
   * Reports the guest frames among {@code [firstGfn, firstGfn + count)} that were accessed since
   * they were last asked about, by the accessed flags of the derived entries, and clears those.
   *
   * <p>An entry that maps a large page has one flag for all of its frames. It answers for each of
   * them and is cleared with the last, so that asking for all frames in ascending order, in pieces
   * of any size, finds all that were accessed.
   *
   * @return false if nothing is derived, so that nobody can tell
   */
  default boolean harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
    return false;
  }
}
