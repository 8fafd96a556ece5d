package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.Rights;
import org.jspecify.annotations.Nullable;

/**
 * The shadow tables of one VM and what keeps them true: links and leaves, the reverse map, write
 * protection of guest tables, unsynchronised tables, zapping.
 *
 * <p>Everything here may leave hardware with something the tables no longer say; {@link #flush}
 * makes it forget, and must come before a frame is reused and before a write-protected table is
 * relied on.
 */
final class ShadowTables {
  /** Shadow entries are long-mode entries; levels are encoded alike in both depths. */
  static final PagingFormat FORMAT = PagingFormat.x86(PagingMode.LEVELS_5, 52, true, false);

  static final long WRITE_BIT = 1 << 1;
  static final long ACCESSED = 1 << 5;
  private static final long PRESENT = 1;
  private static final long DIRTY = 1 << 6;

  private final VmBacking backing;
  private final MachineMemory machine;
  private final Units units;
  private final ShadowOptions options;
  private final ShadowLeaves leaves = new ShadowLeaves(this);
  private final List<ShadowPage> unsynchronised = new ArrayList<>();
  final ShadowPages pages;
  final ShadowCounters counters = new ShadowCounters();

  /** Hardware may hold translations that the tables no longer give. */
  private boolean stale;

  /** Among them some of more than one 4 KiB page, which invalidating one page does not reach. */
  private boolean staleLarge;

  ShadowTables(VmBacking backing, Units units, ShadowOptions options) {
    this.backing = backing;
    this.machine = backing.machine();
    this.units = units;
    this.options = options;
    this.pages = new ShadowPages(backing);
  }

  // ---- entries -----------------------------------------------------------------------------

  long entry(ShadowPage page, int index) {
    return Hva.readLong(machine.hva(page.hpa) + 8L * index);
  }

  private void write(ShadowPage page, int index, long value) {
    Hva.writeLong(machine.hva(page.hpa) + 8L * index, value);
  }

  boolean isPresent(ShadowPage page, int index) {
    return (entry(page, index) & PRESENT) != 0;
  }

  /** Leads an entry to {@code child}; rights are checked at the leaf alone. */
  void link(ShadowPage page, int index, ShadowPage child, long guestEntry) {
    if (page.child(index) != child) {
      clear(page, index);
      child.addParent(page, index);
      page.children[index] = child;
      write(page, index, FORMAT.tableEntry(child.hpa, Rights.ALL) | ACCESSED);
    }
    page.guestEntries[index] = guestEntry;
  }

  /** Maps a page of 4 KiB (level 1), 2 MiB (level 2) or 1 GiB (level 3); A and D are preset. */
  void map(ShadowPage page, int index, long gfn, long hpa, int rights, long guestEntry) {
    long value = FORMAT.leafEntry(hpa, page.level(), rights) | ACCESSED | DIRTY;
    page.guestEntries[index] = guestEntry;
    if (entry(page, index) == value && page.leafGfns[index] == gfn) {
      return;
    }
    clear(page, index);
    page.leafGfns[index] = gfn;
    leaves.add(page, index);
    write(page, index, value);
    counters.leavesMapped++;
    counters.largeLeavesMapped += page.level() > 1 ? 1 : 0;
  }

  /** Clears a flag of a leaf; whether it was set. */
  boolean clearFlag(ShadowPage page, int index, long flag) {
    long value = entry(page, index);
    if ((value & flag) == 0) {
      return false;
    }
    write(page, index, value & ~flag);
    stale = true;
    staleLarge |= page.level() > 1;
    return true;
  }

  /** Empties one entry. */
  void clear(ShadowPage page, int index) {
    if (!isPresent(page, index)) {
      return;
    }
    write(page, index, 0);
    stale = true;
    staleLarge |= page.level() > 1;
    ShadowPage child = page.child(index);
    if (child != null) {
      child.removeParent(page, index);
      page.children[index] = null;
    } else {
      leaves.remove(page, index);
      counters.leavesDropped++;
    }
  }

  void clearAll(ShadowPage page) {
    for (int i = 0; i < ShadowPage.ENTRIES; i++) {
      clear(page, i);
    }
  }

  // ---- pages -------------------------------------------------------------------------------

  /**
   * The page for a guest frame and role, made if need be; null when there is no host frame.
   *
   * <p>A page found again may be out of step: it, or what hangs below it, may have been written
   * while no root led to it, and making it reachable needs no invalidation by the guest.
   */
  @Nullable ShadowPage obtain(long gfn, int role) {
    ShadowPage known = pages.find(gfn, role);
    if (known != null && (known.unsynchronised || known.level() > 1)) {
      resynchroniseAll();
      known = pages.find(gfn, role);
    }
    if (known != null) {
      pages.use(known);
      return known;
    }
    ShadowPage page = pages.create(gfn, role);
    if (page != null) {
      counters.pagesCreated++;
      if (page.isIndirect()) {
        protectTable(page);
      }
    }
    return page;
  }

  private void protectTable(ShadowPage page) {
    if (page.level() > 1) {
      resynchroniseAll();
    }
    leaves.protect(page.gfn);
    flush();
  }

  /** Empties a page and takes it away; a vCPU's root is only emptied. */
  void zap(ShadowPage page) {
    clearAll(page);
    if (page.rootUsers > 0 || page.isSynthetic()) {
      return;
    }
    while (page.parentCount > 0) {
      clear(page.lastParent(), page.lastParentIndex());
    }
    if (page.unsynchronised) {
      unsynchronised.remove(page);
    }
    pages.remove(page);
    stale = true;
    counters.pagesZapped++;
  }

  /** Makes room for {@code count} more pages under {@code limit}, oldest first. */
  void reclaim(int limit, int count) {
    while (pages.live() + count > limit) {
      ShadowPage page = pages.oldestUnused();
      if (page == null) {
        break;
      }
      zap(page);
      counters.pagesReclaimed++;
    }
    if (pages.hasDropped()) {
      flush();
    }
  }

  /**
   * Makes hardware forget what the tables no longer say; frames waiting for that are given back.
   */
  void flush() {
    if (stale) {
      flushAlways();
    }
  }

  void flushAlways() {
    units.invalidateAll();
    counters.flushes++;
    stale = false;
    staleLarge = false;
    pages.releaseDropped();
  }

  boolean isStaleLarge() {
    return staleLarge;
  }

  // ---- guest tables --------------------------------------------------------------------------

  /** Whether the guest must not write this frame unseen. */
  boolean isTracked(long gfn) {
    for (ShadowPage page = pages.first(gfn); page != null; page = pages.next(page)) {
      if (page.isIndirect() && !page.unsynchronised) {
        return true;
      }
    }
    return false;
  }

  /** Lets the guest write a last-level table unseen; false if it has to stay tracked. */
  boolean unsynchronise(long gfn) {
    if (!options.unsynchronised()) {
      return false;
    }
    for (ShadowPage page = pages.first(gfn); page != null; page = pages.next(page)) {
      if (page.isIndirect() && page.level() > 1) {
        return false;
      }
    }
    for (ShadowPage page = pages.first(gfn); page != null; page = pages.next(page)) {
      if (page.isIndirect() && !page.unsynchronised) {
        page.unsynchronised = true;
        unsynchronised.add(page);
        counters.unsynchronisations++;
      }
    }
    return true;
  }

  /** Brings every unsynchronised table back into step and under write protection. */
  void resynchroniseAll() {
    if (unsynchronised.isEmpty()) {
      return;
    }
    List<ShadowPage> again = new ArrayList<>(unsynchronised);
    for (ShadowPage page : again) {
      leaves.protect(page.gfn);
    }
    // Only now is nobody writing: what is read below stays true until the next tracked write.
    flush();
    unsynchronised.clear();
    for (ShadowPage page : again) {
      page.unsynchronised = false;
      counters.resynchronisations++;
      if (page.parentCount == 0 && page.rootUsers == 0) {
        zap(page);
      } else {
        compare(page);
      }
    }
  }

  private void compare(ShadowPage page) {
    for (int i = 0; i < ShadowPage.ENTRIES; i++) {
      compare(page, i);
    }
  }

  /** Drops an entry whose guest entry is no longer what it was derived from. */
  void compare(ShadowPage page, int index) {
    if (isPresent(page, index) && !page.isSynthetic()) {
      long at = (page.gfn << 12) + page.guestOffset(index);
      long now = GuestWalk.read(backing, at, ShadowRole.guestEntryBytes(page.role));
      if (!isSame(page.guestEntries[index], now)) {
        clear(page, index);
        counters.entriesResynchronised++;
      }
    }
  }

  /** A and D flags that have been set since make no difference; any that were cleared do. */
  static boolean isSame(long before, long now) {
    long flags = ACCESSED | DIRTY;
    return ((before ^ now) & ~flags) == 0 && (before & ~now & flags) == 0;
  }

  /** The guest wrote a tracked range: entries derived from it go, and floods are noticed. */
  void written(long gpa, long sizeBytes) {
    long end = gpa + sizeBytes;
    for (long at = gpa; at < end; at = (at | 0xFFF) + 1) {
      int first = (int) at & 0xFFF;
      int last = (int) (Math.min(end, (at | 0xFFF) + 1) - 1) & 0xFFF;
      ShadowPage page = pages.first(at >>> 12);
      while (page != null) {
        ShadowPage next = pages.next(page);
        if (page.isIndirect()) {
          written(page, first, last);
        }
        page = next;
      }
    }
    if (pages.hasDropped()) {
      flush();
    }
  }

  private void written(ShadowPage page, int first, int last) {
    boolean counted = page.level() > 1 || !options.unsynchronised();
    if (counted && ++page.writesWithoutUse >= options.floodLimit()) {
      counters.floods++;
      page.writesWithoutUse = 0;
      zap(page);
      return;
    }
    int bytes = ShadowRole.guestEntryBytes(page.role);
    for (int i = first / bytes; i <= last / bytes; i++) {
      if (bytes == 8) {
        compare(page, i);
      } else if (page.level() == 1) {
        if (i >> 9 == ShadowRole.quadrant(page.role)) {
          compare(page, i & 511);
        }
      } else if (i >> 8 == ShadowRole.quadrant(page.role)) {
        compare(page, (i & 255) * 2);
        compare(page, (i & 255) * 2 + 1);
      }
    }
  }

  // ---- frames ------------------------------------------------------------------------------

  /**
   * Reports those frames that some leaf says were accessed, and clears that flag; frames of guest
   * tables with a shadow count as accessed, since hardware walks the shadow in their place.
   */
  void harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
    leaves.harvestAccessed(firstGfn, count, this::isShadowed, accessed);
  }

  private boolean isShadowed(long gfn) {
    for (ShadowPage page = pages.first(gfn); page != null; page = pages.next(page)) {
      if (page.isIndirect()) {
        return true;
      }
    }
    return false;
  }

  /** Drops every leaf that maps one of these frames, and every shadow of a table in them. */
  void forget(long firstGfn, long count) {
    leaves.drop(firstGfn, count);
    if (count <= pages.live()) {
      for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
        zapTables(gfn);
      }
    } else {
      pages.forEach(
          page -> {
            if (page.isIndirect() && page.gfn >= firstGfn && page.gfn < firstGfn + count) {
              zap(page);
            }
          });
    }
  }

  private void zapTables(long gfn) {
    ShadowPage page = pages.first(gfn);
    while (page != null) {
      ShadowPage next = pages.next(page);
      if (page.isIndirect()) {
        zap(page);
      }
      page = next;
    }
  }

  /** Write-protects every leaf that maps one of these frames. */
  void protectFrames(long firstGfn, long count) {
    leaves.protect(firstGfn, count);
  }

  /** Throws every shadow entry away; active roots stay, empty. */
  void dropAll() {
    pages.forEach(this::zap);
    flushAlways();
  }

  /**
   * Level of the largest leaf around {@code gfn} that host memory, the guest's tables and the
   * options allow.
   *
   * @param most level of the largest that the guest's own mapping allows, 1 to 3
   */
  int leafLevel(long gfn, int most) {
    int level = Math.min(most, options.leafLevels());
    while (level > 1 && pages.runHoldsTable(gfn, level)) {
      level--;
    }
    int mostLog2 = 12 + ShadowLeaves.order(level);
    return level == 1 ? 1 : (backing.contiguousSizeLog2(gfn, mostLog2) - 12) / 9 + 1;
  }
}
