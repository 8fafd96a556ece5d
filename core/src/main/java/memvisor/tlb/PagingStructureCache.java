package memvisor.tlb;

import memvisor.paging.PagingFormat;
import memvisor.paging.Walker;

/**
 * Remembers the upper part of walks, so that a walk starts at the lowest table already known: the
 * PML5E, PML4E, PDPTE and PDE caches (Intel SDM vol. 3A, 4.10.3).
 *
 * <p>Filled only by walks that succeeded, whose upper entries therefore have their accessed flag
 * set. The target is the address of the next table, in the space of the tables.
 */
final class PagingStructureCache {
  /** By the level of the entry that is cached, 2 (PDE) to 5 (PML5E). */
  private final SetAssociativeCache[] byLevel = new SetAssociativeCache[PagingFormat.LEVEL_LIMIT];

  private final AddressSpace space;
  private long hits;

  PagingStructureCache(TlbConfiguration.PagingStructures sizes, AddressSpace space) {
    this.space = space;
    byLevel[2] = fullyAssociative(sizes.pdeEntries());
    byLevel[3] = fullyAssociative(sizes.pdpteEntries());
    byLevel[4] = fullyAssociative(sizes.pml4eEntries());
    byLevel[5] = fullyAssociative(sizes.pml5eEntries());
  }

  private static SetAssociativeCache fullyAssociative(int entries) {
    return new SetAssociativeCache(entries == 0 ? 0 : 1, entries);
  }

  /**
   * Walks {@code address}, from the lowest cached table, and remembers the tables it passed. A
   * fault is never concluded from what is cached: the walk is made again from the root, so that a
   * guest sees the same faults whatever is cached, and none that a retry would not give.
   */
  int translate(Walker walker, long address, int access) {
    PagingFormat format = walker.format();
    if (!format.covers(address)) {
      return walker.translate(address, access);
    }
    int outcome = Walker.NOT_PRESENT;
    int start = format.levels();
    for (int level = 2; level <= format.levels(); level++) {
      SetAssociativeCache cache = byLevel[level];
      int slot = cache.find(address, format.shift(level), space);
      if (slot != SetAssociativeCache.MISS) {
        hits++;
        start = level - 1;
        outcome = walker.resume(start, cache.target[slot], cache.detail[slot], address, access);
        break;
      }
    }
    if (outcome != Walker.MAPPED) {
      if (start != format.levels()) {
        drop(address);
      }
      start = format.levels();
      outcome = walker.translate(address, access);
    }
    if (outcome == Walker.MAPPED) {
      remember(walker, address, start);
    }
    return outcome;
  }

  private void remember(Walker walker, long address, int startLevel) {
    PagingFormat format = walker.format();
    for (int level = startLevel; level > walker.level(); level--) {
      SetAssociativeCache cache = byLevel[level];
      int slot = cache.fill(address, format.shift(level), space, false);
      if (slot != SetAssociativeCache.MISS) {
        cache.target[slot] = format.tableAddress(walker.entry(level));
        cache.detail[slot] = walker.grantedAbove(level - 1);
      }
    }
  }

  private void drop(long address) {
    for (int level = 2; level < byLevel.length; level++) {
      byLevel[level].dropPage(address, space);
    }
  }

  /** Level of the table at which a walk of {@code address} would start; looking changes nothing. */
  int startLevel(PagingFormat format, long address) {
    for (int level = 2; level <= format.levels(); level++) {
      if (byLevel[level].probe(address, format.shift(level), space) != SetAssociativeCache.MISS) {
        return level - 1;
      }
    }
    return format.levels();
  }

  /** Walks that did not start at the root. */
  long hits() {
    return hits;
  }
}
