package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.function.LongPredicate;

/**
 * Which shadow leaves map a guest frame, and what host memory may ask of them: to go, to be
 * read-only, to say whether they were used.
 *
 * <p>Leaves of each size are found by the number of the page of that size that they map. A large
 * leaf that must not be written any more goes as a whole: it comes back, in smaller pieces if need
 * be, at the next fault.
 */
final class ShadowLeaves {
  /** Levels that map pages: 4 KiB, 2 MiB, 1 GiB. */
  static final int LEVELS = 3;

  private final ShadowTables tables;
  private final ReverseMap[] maps = new ReverseMap[LEVELS + 1];

  ShadowLeaves(ShadowTables tables) {
    this.tables = tables;
    for (int level = 1; level <= LEVELS; level++) {
      maps[level] = new ReverseMap();
    }
  }

  /** Binary logarithm of the 4 KiB pages that a leaf of that level maps. */
  static int order(int level) {
    return 9 * (level - 1);
  }

  private static long key(long gfn, int level) {
    return gfn >>> order(level);
  }

  /** A leaf was written; its {@code leafGfns} says what it maps. */
  void add(ShadowPage page, int index) {
    int level = page.level();
    maps[level].add(key(page.leafGfns[index], level), page, index);
  }

  /** A leaf was taken away. */
  void remove(ShadowPage page, int index) {
    int level = page.level();
    maps[level].remove(key(page.leafGfns[index], level), page, index);
  }

  // ---- write protection ------------------------------------------------------------------------

  /** Takes write permission from every leaf that maps {@code gfn}. */
  void protect(long gfn) {
    weaken(gfn, ShadowTables.WRITE_BIT);
    for (int level = 2; level <= LEVELS; level++) {
      ReverseMap map = maps[level];
      for (int node = map.first(key(gfn, level)); node >= 0; ) {
        int next = map.next(node);
        ShadowPage page = map.page(node);
        int index = map.index(node);
        if ((tables.entry(page, index) & ShadowTables.WRITE_BIT) != 0) {
          tables.clear(page, index);
        }
        node = next;
      }
    }
  }

  private void weaken(long gfn, long flag) {
    ReverseMap map = maps[1];
    for (int node = map.first(gfn); node >= 0; node = map.next(node)) {
      if (tables.clearFlag(map.page(node), map.index(node), flag)) {
        tables.counters.writeProtections++;
      }
    }
  }

  /** Write-protects every leaf that maps one of these frames. */
  void protect(long firstGfn, long count) {
    forEachKey(1, firstGfn, count, gfn -> weaken(gfn, ShadowTables.WRITE_BIT));
    for (int level = 2; level <= LEVELS; level++) {
      drop(level, firstGfn, count);
    }
  }

  // ---- dropping --------------------------------------------------------------------------------

  /** Drops every leaf that maps one of these frames. */
  void drop(long firstGfn, long count) {
    for (int level = 1; level <= LEVELS; level++) {
      drop(level, firstGfn, count);
    }
  }

  private void drop(int level, long firstGfn, long count) {
    ReverseMap map = maps[level];
    forEachKey(
        level,
        firstGfn,
        count,
        key -> {
          for (int node = map.first(key); node >= 0; node = map.first(key)) {
            tables.clear(map.page(node), map.index(node));
          }
        });
  }

  /** Calls {@code action} for each page of a level's size that meets these frames. */
  private void forEachKey(int level, long firstGfn, long count, LongConsumer action) {
    long first = key(firstGfn, level);
    long end = key(firstGfn + count - 1, level) + 1;
    LongIntMap present = maps[level].keys();
    if (end - first <= present.size()) {
      for (long key = first; key < end; key++) {
        action.accept(key);
      }
      return;
    }
    List<Long> keys = new ArrayList<>();
    present.forEachKey(keys::add);
    for (long key : keys) {
      if (key >= first && key < end) {
        action.accept(key);
      }
    }
  }

  // ---- accessed flags --------------------------------------------------------------------------

  /**
   * Reports those frames that some leaf says were accessed, and clears the flag of a leaf once its
   * last frame was asked about.
   *
   * @param alsoAccessed frames accessed in a way that leaves do not tell
   */
  void harvestAccessed(
      long firstGfn, long count, LongPredicate alsoAccessed, LongConsumer accessed) {
    for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
      boolean used = alsoAccessed.test(gfn);
      for (int level = 1; level <= LEVELS; level++) {
        long mask = (1L << order(level)) - 1;
        used |=
            (gfn & mask) == mask
                ? clearAccessed(level, key(gfn, level))
                : isAccessed(level, key(gfn, level));
      }
      if (used) {
        accessed.accept(gfn);
      }
    }
  }

  private boolean isAccessed(int level, long key) {
    ReverseMap map = maps[level];
    for (int node = map.first(key); node >= 0; node = map.next(node)) {
      if ((tables.entry(map.page(node), map.index(node)) & ShadowTables.ACCESSED) != 0) {
        return true;
      }
    }
    return false;
  }

  private boolean clearAccessed(int level, long key) {
    ReverseMap map = maps[level];
    boolean was = false;
    for (int node = map.first(key); node >= 0; node = map.next(node)) {
      was |= tables.clearFlag(map.page(node), map.index(node), ShadowTables.ACCESSED);
    }
    return was;
  }
}
