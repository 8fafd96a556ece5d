package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.Access;
import memvisor.memory.Backing;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * Shadow paging of one vCPU: its root, the real registers that hardware runs with, and its exits.
 *
 * <p>Hardware always runs in IA-32e mode with WP and NXE on. A guest of 32-bit paging, PAE or no
 * paging at all gets two synthetic tables on top, private to the vCPU, whose four entries stand for
 * quarters of its page directory, its PDPTE registers or runs of physical memory.
 */
final class ShadowVcpu implements VcpuMmu {
  /** Levels that a path can need at most, and one page to spare. */
  private static final int PATH_PAGES = 8;

  /** Attempts against other vCPUs that edit the same tables before the guest tries again. */
  private static final int ATTEMPTS = 16;

  private static final int DONE = 0;
  private static final int RACED = 1;
  private static final int NO_ROOM = 2;

  private final Object lock;
  private final VmBacking backing;
  private final ShadowTables tables;
  private final Counters counters;
  private final ShadowOptions options;
  private final TranslationUnit unit;
  private final PagingState guest;
  private final PagingState real = new PagingState();
  private final GuestWalk walk;
  private final ShadowPage top;
  private final ShadowPage directory;
  private ShadowPage root;

  /** The root is the guest's; else {@link #top}, empty, until there is room for one. */
  private boolean rootLoaded;

  private int mode;

  ShadowVcpu(ShadowTechnique technique, TranslationUnit unit, PagingState guest) {
    this.lock = technique;
    this.backing = technique.backing();
    this.tables = technique.tables();
    this.counters = technique.counters();
    this.options = technique.options();
    this.unit = unit;
    this.guest = guest;
    this.walk = new GuestWalk(backing, guest, counters);
    this.top = synthetic(4);
    this.directory = synthetic(3);
    this.root = top;
    loadRoot();
  }

  private ShadowPage synthetic(int level) {
    ShadowPage page = tables.pages.create(0, level | ShadowRole.SYNTHETIC);
    if (page == null) {
      throw new IllegalStateException("no host frame for the root of the shadow tables");
    }
    return page;
  }

  // ---- roots -------------------------------------------------------------------------------

  /** Points hardware at the shadow of the guest's current root. */
  private boolean loadRoot() {
    mode = ShadowRole.ofMode(guest);
    tables.reclaim(options.pageLimit(), PATH_PAGES);
    ShadowPage next = guestLevels() >= 4 ? guestRoot() : syntheticRoot();
    rootLoaded = next != null;
    root.rootUsers--;
    root = next == null ? emptyTop() : next;
    root.rootUsers++;
    real.setPhysicalAddressBits(52);
    real.setCr0(PagingState.CR0_PE | PagingState.CR0_PG | PagingState.CR0_WP);
    real.setEfer(PagingState.EFER_LME | PagingState.EFER_LMA | PagingState.EFER_NXE);
    long passed = guest.paging() ? PagingState.CR4_SMEP | PagingState.CR4_SMAP : 0;
    real.setCr4(
        guest.cr4() & passed
            | PagingState.CR4_PAE
            | (root.level() == 5 ? PagingState.CR4_LA57 : 0));
    real.setCr3(root.hpa);
    unit.hostTables(real, 0);
    tables.flushAlways();
    return rootLoaded;
  }

  private int guestLevels() {
    return ShadowRole.guestLevels(mode);
  }

  private @Nullable ShadowPage guestRoot() {
    long gfn = (guest.cr3() & 0x000F_FFFF_FFFF_F000L) >>> 12;
    int role = ShadowRole.of(mode, guestLevels(), Rights.ALL);
    if (tables.pages.find(gfn, role) != null) {
      tables.counters.cachedRootHits++;
    }
    return tables.obtain(gfn, role);
  }

  private ShadowPage syntheticRoot() {
    tables.clearAll(directory);
    tables.link(top, 0, directory, 0);
    return top;
  }

  private ShadowPage emptyTop() {
    tables.clearAll(top);
    return top;
  }

  // ---- exits -------------------------------------------------------------------------------

  @Override
  public void resolve(long gva, int access, TranslationResult result) {
    synchronized (lock) {
      repair(gva, access, result);
      counters.count(result.kind);
    }
  }

  private void repair(long gva, int access, TranslationResult result) {
    int outcome = RACED;
    for (int attempt = 0; attempt < ATTEMPTS && outcome != DONE; attempt++) {
      tables.reclaim(options.pageLimit(), PATH_PAGES);
      outcome = rootLoaded || loadRoot() ? attempt(gva, access, result) : NO_ROOM;
      if (outcome == RACED) {
        tables.counters.raceRetries++;
      } else if (outcome == NO_ROOM && !makeRoom()) {
        result.kind = TranslationResult.FAILED;
        return;
      }
    }
    if (outcome != DONE) {
      result.kind = outcome == RACED ? TranslationResult.RETRY : TranslationResult.FAILED;
    }
  }

  /** Host memory is exhausted: gives back half of the shadow pages. */
  private boolean makeRoom() {
    int before = tables.pages.live();
    tables.reclaim(before / 2, 0);
    return tables.pages.live() < before;
  }

  private int attempt(long gva, int access, TranslationResult result) {
    if (!walk.walk(gva, access)) {
      dropStale(gva);
      result.pageFault(walk.errorCode());
      return DONE;
    }
    boolean write = (access & Access.WRITE) != 0;
    long frame = backing.frame(walk.gpa() >>> 12, write);
    if (!Backing.isPresent(frame)) {
      EmulatedAccess.unmapped(frame, walk.gpa(), result);
      return DONE;
    }
    int rights = leafRights(write);
    if (!Backing.isWritable(frame)) {
      rights &= ~Rights.WRITE;
    }
    if (write && (rights & Rights.WRITE) == 0) {
      EmulatedAccess.once(backing, walk.gpa(), access, result);
      result.tracked = tables.isTracked(walk.gpa() >>> 12);
      return DONE;
    }
    return build(gva, write, frame, rights, result);
  }

  /**
   * What the leaf may grant: writes only once the guest's D flag is set, and, where CR0.WP=0 lets
   * the supervisor write a read-only page, writes to the supervisor alone.
   *
   * <p>The user's view of such a page comes back with the user's next fault. Under SMAP there is no
   * such leaf, because it would let reads pass that SMAP denies: each write is performed once.
   */
  private int leafRights(boolean write) {
    int rights = walk.permissions();
    if (!walk.isDirty()) {
      return rights & ~Rights.WRITE;
    }
    if (!write || (rights & Rights.WRITE) != 0) {
      return rights;
    }
    if ((rights & Rights.USER) == 0) {
      return rights | Rights.WRITE;
    }
    if ((guest.cr4() & PagingState.CR4_SMAP) != 0) {
      return rights;
    }
    boolean smep = (guest.cr4() & PagingState.CR4_SMEP) != 0;
    int kernelOnly = rights & ~Rights.USER | Rights.WRITE;
    return smep ? kernelOnly & ~Rights.EXECUTE : kernelOnly;
  }

  /** Builds the path to the leaf, tables write-protected before their entries are read again. */
  private int build(long gva, boolean write, long frame, int rights, TranslationResult result) {
    long gfn = walk.gpa() >>> 12;
    boolean paged = walk.leafLevel() != 0;
    int leafLevel = tables.leafLevel(gfn, paged ? walk.leafLevel() : ShadowLeaves.LEVELS);
    if (leafLevel < walk.leafLevel()) {
      tables.counters.largePagesSplit++;
    }
    ShadowPage page = root;
    for (int level = page.level(); level > leafLevel; level--) {
      int index = index(gva, level);
      ShadowPage child = child(page, index, gfn, rights);
      if (child == null) {
        return NO_ROOM;
      }
      if (!isUnchanged(page)) {
        return RACED;
      }
      tables.link(page, index, child, guestEntry(page));
      page = child;
    }
    boolean tracked = (rights & Rights.WRITE) != 0 && tables.isTracked(gfn);
    if (tracked && write && tables.unsynchronise(gfn)) {
      tracked = false;
    }
    if (!isUnchanged(page)) {
      return RACED;
    }
    int granted = tracked ? rights & ~Rights.WRITE : rights;
    long runStart = gfn & -(1L << ShadowLeaves.order(leafLevel));
    long hpa = Backing.hpa(frame) - (gfn - runStart << 12);
    tables.map(page, index(gva, leafLevel), runStart, hpa, granted, guestEntry(page));
    if (write && tracked) {
      result.mapped(Backing.hpa(frame) | walk.gpa() & 0xFFF, walk.gpa());
      result.cacheable = false;
      result.tracked = true;
    } else {
      // Hardware may still use paging-structure entries from before this path was built.
      unit.invalidatePage(gva);
      result.kind = TranslationResult.RETRY;
    }
    return DONE;
  }

  private static int index(long gva, int level) {
    return ShadowTables.FORMAT.index(gva, level);
  }

  /** The page that entry {@code index} of {@code page} has to lead to for the walk just made. */
  private @Nullable ShadowPage child(ShadowPage page, int index, long gfn, int rights) {
    if (page == top) {
      return directory;
    }
    int level = page.level() - 1;
    long childGfn;
    int role;
    if (page.isDirect() || isGuestLeaf(page)) {
      int access = page.isDirect() ? ShadowRole.access(page.role) : rights;
      childGfn = gfn & -(1L << 9 * level);
      role = ShadowRole.direct(mode, level, access);
    } else {
      childGfn = walk.tableGfn(level);
      role = ShadowRole.of(mode, level, walk.above(level));
      if (guestLevels() == 2) {
        role = ShadowRole.withQuadrant(role, level == 2 ? index : index & 1);
      }
    }
    ShadowPage linked = page.child(index);
    if (linked != null && linked.gfn == childGfn && linked.role == role) {
      tables.pages.use(linked);
      return linked;
    }
    return tables.obtain(childGfn, role);
  }

  /** Whether the guest's entry at this page's level maps a page. */
  private boolean isGuestLeaf(ShadowPage page) {
    return page == directory ? guestLevels() == 0 : page.level() == walk.leafLevel();
  }

  private long guestEntry(ShadowPage page) {
    return page.isIndirect() ? walk.entry(page.level()) : 0;
  }

  /** Reads the guest's entry again, now that its table is write-protected. */
  private boolean isUnchanged(ShadowPage page) {
    if (!page.isIndirect()) {
      return true;
    }
    int level = page.level();
    int bytes = ShadowRole.guestEntryBytes(page.role);
    return ShadowTables.isSame(
        walk.entry(level), GuestWalk.read(backing, walk.entryGpa(level), bytes));
  }

  /** Drops what an unsynchronised table no longer says about {@code gva}. */
  private void dropStale(long gva) {
    for (ShadowPage page = root; page != null; page = page.child(index(gva, page.level()))) {
      if (page.unsynchronised) {
        tables.compare(page, index(gva, page.level()));
      }
    }
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    synchronized (lock) {
      tables.counters.cr3Loads++;
      tables.resynchroniseAll();
      loadRoot();
    }
  }

  @Override
  public void pagingControlsWritten() {
    synchronized (lock) {
      tables.counters.controlChanges++;
      tables.resynchroniseAll();
      loadRoot();
    }
  }

  @Override
  public void invlpg(long gva) {
    synchronized (lock) {
      tables.counters.invlpgs++;
      dropStale(gva);
      if (tables.isStaleLarge()) {
        tables.flush();
      } else {
        unit.invalidatePage(gva);
      }
    }
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    synchronized (lock) {
      tables.counters.invpcids++;
      tables.resynchroniseAll();
      tables.flushAlways();
    }
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {
    synchronized (lock) {
      tables.counters.trackedWrites++;
      tables.written(gpa, sizeBytes);
    }
  }

  @Override
  public List<DerivedEntry> derivedPath(long gva, long gpa) {
    synchronized (lock) {
      List<DerivedEntry> path = new ArrayList<>();
      for (ShadowPage page = root; page != null; page = page.child(index(gva, page.level()))) {
        int index = index(gva, page.level());
        path.add(
            new DerivedEntry(
                page.level(), page.hpa, index, tables.entry(page, index), describe(page)));
      }
      return path;
    }
  }

  private static String describe(ShadowPage page) {
    String role = ShadowRole.describe(page.role);
    return page.isSynthetic()
        ? role
        : "gfn 0x%x, %s%s".formatted(page.gfn, role, page.unsynchronised ? ", unsynchronised" : "");
  }
}
