package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.memory.FrameRole;
import memvisor.memory.VmBacking;
import org.jspecify.annotations.Nullable;

/**
 * All shadow pages of a VM: found by guest frame and role, ordered by last use, each owning one
 * host frame.
 */
final class ShadowPages {
  private static final int BUCKETS = 1 << 12;

  private final VmBacking backing;
  private final @Nullable ShadowPage[] buckets = new ShadowPage[BUCKETS];

  /** Guest tables in each aligned 2 MiB (level 2) and 1 GiB (level 3) that has any. */
  private final LongIntMap[] tablesInRun = new LongIntMap[ShadowLeaves.LEVELS + 1];

  private final List<Long> dropped = new ArrayList<>();
  private @Nullable ShadowPage newest;
  private @Nullable ShadowPage oldest;
  private int live;
  private int synthetic;

  ShadowPages(VmBacking backing) {
    this.backing = backing;
    for (int level = 2; level <= ShadowLeaves.LEVELS; level++) {
      tablesInRun[level] = new LongIntMap(0);
    }
  }

  /** Pages alive, those above a guest's own tables not counted. */
  int live() {
    return live;
  }

  /** Host frames held now. */
  long frames() {
    return live + synthetic + dropped.size();
  }

  private static int bucket(long gfn) {
    return (int) (gfn * 0x9E37_79B9_7F4A_7C15L >>> 52) & BUCKETS - 1;
  }

  @Nullable ShadowPage find(long gfn, int role) {
    ShadowPage page = first(gfn);
    while (page != null && page.role != role) {
      page = next(page);
    }
    return page;
  }

  /** First page of any role with this guest frame; direct pages included. */
  @Nullable ShadowPage first(long gfn) {
    return sameGfn(buckets[bucket(gfn)], gfn);
  }

  /** The next page with the same guest frame. */
  @Nullable ShadowPage next(ShadowPage page) {
    return sameGfn(page.nextInBucket, page.gfn);
  }

  private static @Nullable ShadowPage sameGfn(@Nullable ShadowPage from, long gfn) {
    ShadowPage page = from;
    while (page != null && page.gfn != gfn) {
      page = page.nextInBucket;
    }
    return page;
  }

  /** A new empty page; null when host memory has no frame for it. */
  @Nullable ShadowPage create(long gfn, int role) {
    long hpa = backing.allocateTable(FrameRole.SHADOW_TABLE);
    if (hpa < 0) {
      return null;
    }
    ShadowPage page = new ShadowPage(gfn, role, hpa);
    if (page.isSynthetic()) {
      synthetic++;
      return page;
    }
    int bucket = bucket(gfn);
    page.nextInBucket = buckets[bucket];
    buckets[bucket] = page;
    addNewest(page);
    live++;
    count(page, 1);
    return page;
  }

  private void count(ShadowPage page, int change) {
    for (int level = 2; level <= ShadowLeaves.LEVELS && page.isIndirect(); level++) {
      long run = page.gfn >>> ShadowLeaves.order(level);
      tablesInRun[level].put(run, tablesInRun[level].get(run) + change);
    }
  }

  /** Whether some guest table lies in the 2 MiB (level 2) or 1 GiB (3) around {@code gfn}. */
  boolean runHoldsTable(long gfn, int level) {
    return tablesInRun[level].get(gfn >>> ShadowLeaves.order(level)) != 0;
  }

  /** Marks a page as just used. */
  void use(ShadowPage page) {
    page.writesWithoutUse = 0;
    if (page != newest && !page.isSynthetic()) {
      unlist(page);
      addNewest(page);
    }
  }

  private void addNewest(ShadowPage page) {
    page.older = newest;
    page.newer = null;
    if (newest != null) {
      newest.newer = page;
    }
    newest = page;
    if (oldest == null) {
      oldest = page;
    }
  }

  private void unlist(ShadowPage page) {
    ShadowPage newer = page.newer;
    ShadowPage older = page.older;
    if (newer == null) {
      newest = older;
    } else {
      newer.older = older;
    }
    if (older == null) {
      oldest = newer;
    } else {
      older.newer = newer;
    }
  }

  /** Takes an empty page out; its frame waits for {@link #releaseDropped}. */
  void remove(ShadowPage page) {
    int bucket = bucket(page.gfn);
    ShadowPage before = buckets[bucket];
    if (before == page) {
      buckets[bucket] = page.nextInBucket;
    } else {
      while (before != null && before.nextInBucket != page) {
        before = before.nextInBucket;
      }
      if (before == null) {
        throw new IllegalStateException("unknown shadow page: gfn=0x%x".formatted(page.gfn));
      }
      before.nextInBucket = page.nextInBucket;
    }
    unlist(page);
    count(page, -1);
    live--;
    dropped.add(page.hpa);
  }

  /** Gives frames of removed pages back; hardware must have forgotten them by now. */
  void releaseDropped() {
    for (long hpa : dropped) {
      backing.freeTable(hpa);
    }
    dropped.clear();
  }

  boolean hasDropped() {
    return !dropped.isEmpty();
  }

  /** The least recently used page that is no vCPU's root. */
  @Nullable ShadowPage oldestUnused() {
    ShadowPage page = oldest;
    while (page != null && page.rootUsers > 0) {
      page = page.newer;
    }
    return page;
  }

  /** Calls {@code action} for each page, oldest first; it may remove that page. */
  void forEach(Consumer<ShadowPage> action) {
    ShadowPage page = oldest;
    while (page != null) {
      ShadowPage newer = page.newer;
      action.accept(page);
      page = newer;
    }
  }
}
