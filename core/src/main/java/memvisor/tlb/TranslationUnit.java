package memvisor.tlb;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import memvisor.address.Access;
import memvisor.memory.MachineMemory;
import memvisor.paging.AccessRules;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.paging.WalkTrace;
import memvisor.paging.Walker;
import org.jspecify.annotations.Nullable;

/**
 * The memory-management unit of one vCPU: TLB, then paging-structure caches, then the walker over
 * the current root.
 *
 * <p>Two parties program it. The vCPU tells it what the guest did (control registers, INVLPG …).
 * The monitor chooses the regime: a partition (guest tables, base and limit), host tables (one
 * dimension over HPA: shadow, direct), nested tables, or trap (no root at all).
 *
 * <p>Every invalidation is passed on to the {@link TranslationListener}. Neither a hit nor a walk
 * allocates. Confined to the vCPU's thread.
 */
public final class TranslationUnit {
  /** What the monitor lets the hardware walk. */
  private enum Regime {
    TRAP,
    PARTITION,
    HOST_TABLES,
    NESTED
  }

  /** Binary logarithm of the pieces in which the identity of unpaged memory is cached. */
  private static final int IDENTITY_SIZE_LOG2 = 21;

  private static final long CR0_FLUSHING = PagingState.CR0_PG;
  private static final long CR4_FLUSHING =
      PagingState.CR4_PSE
          | PagingState.CR4_PAE
          | PagingState.CR4_PGE
          | PagingState.CR4_LA57
          | PagingState.CR4_PCIDE
          | PagingState.CR4_SMEP
          | PagingState.CR4_SMAP;
  private static final long EFER_FLUSHING = PagingState.EFER_NXE | PagingState.EFER_LMA;

  private final MachineMemory machine;
  private final PagingState guest;
  private final AddressSpace structureSpace = new AddressSpace();
  private final CombinedTlb tlb;
  private final PagingStructureCache structures;
  private final Stage hostStage;
  private final Stage partitionStage;
  private final Stage nestedStage;
  private final PartitionDimension partition = new PartitionDimension();
  private final NestedDimension nested;

  /** Large pages of which the listener may hold 4 KiB pieces; global ones. */
  private final LargePageFilter handedOut = new LargePageFilter();

  private final LargePageFilter handedOutGlobal = new LargePageFilter();

  private @Nullable TranslationListener listener;

  private SecondDimension dimension;
  private Walker walker;
  private Regime regime = Regime.TRAP;

  /** Programs another unit as the monitor programmed this one. */
  private Consumer<TranslationUnit> program = TranslationUnit::trap;

  private PagingState registers;
  private int tag;

  private AccessRules rules = AccessRules.EPT;
  private boolean paging;
  private boolean globalPages;
  private long cr0;
  private long cr3;
  private long cr4;
  private long efer;

  private long accesses;
  private long firstHits;
  private long secondHits;
  private long walks;
  private long pageFaults;
  private long nestedFaults;
  private long flushes;
  private long pageInvalidations;

  /** A unit that starts in the trap regime, with the default geometry. */
  public TranslationUnit(MachineMemory machine, PagingState guest) {
    this(machine, guest, TlbConfiguration.DEFAULT);
  }

  /** A unit that starts in the trap regime. */
  public TranslationUnit(MachineMemory machine, PagingState guest, TlbConfiguration configuration) {
    this.machine = machine;
    this.guest = guest;
    tlb = new CombinedTlb(configuration);
    structures = new PagingStructureCache(configuration.structures(), structureSpace);
    nested = new NestedDimension(machine, configuration);
    hostStage = Stage.over(machine, new HostDimension(machine));
    partitionStage = Stage.over(machine, partition);
    nestedStage = Stage.over(machine, nested);
    dimension = hostStage.dimension();
    walker = hostStage.walker();
    registers = guest;
  }

  // ---- regimes (the monitor) -----------------------------------------------------------------

  /** The guest's paging registers, shared with the vCPU that owns this unit. */
  public PagingState guest() {
    return guest;
  }

  /** No root: every translation ends in TRAPPED. */
  public void trap() {
    regime = Regime.TRAP;
    invalidateAll();
  }

  /**
   * The guest's tables with base and limit: GPA below {@code limitBytes} is HPA above {@code
   * baseHpa}, and everything else is a nested fault.
   */
  public void partition(long baseHpa, long limitBytes) {
    program = unit -> unit.partition(baseHpa, limitBytes);
    partition.set(baseHpa, limitBytes);
    enter(Regime.PARTITION, partitionStage, guest, 0);
    invalidateAll();
  }

  /**
   * Tables of the monitor that translate GVA to HPA.
   *
   * @param real the registers the hardware runs with; call again after changing them
   * @param newTag the VPID or ASID of what is cached
   */
  public void hostTables(PagingState real, int newTag) {
    program = unit -> unit.hostTables(real, newTag);
    enter(Regime.HOST_TABLES, hostStage, real, newTag);
  }

  /**
   * The guest's tables, every guest-physical address translated by nested tables.
   *
   * @param format an EPT or NPT format
   * @param rootHpa the topmost nested table
   * @param newTag the VPID or ASID of what is cached
   */
  public void nested(PagingFormat format, long rootHpa, int newTag) {
    if (!format.mode().isNested()) {
      throw new IllegalArgumentException("not a nested format: mode=" + format.mode());
    }
    program = unit -> unit.nested(format, rootHpa, newTag);
    nested.set(format, rootHpa, newTag);
    enter(Regime.NESTED, nestedStage, guest, newTag);
  }

  private void enter(Regime newRegime, Stage newStage, PagingState newRegisters, int newTag) {
    boolean sameRegime = regime == newRegime;
    regime = newRegime;
    dimension = newStage.dimension();
    walker = newStage.walker();
    registers = newRegisters;
    tag = newTag;
    if (!sameRegime) {
      invalidateAll();
    }
    if (!sameRegime || controlsDiffer()) {
      controlsChanged();
    } else {
      selectSpace();
      notifyAllInvalidated();
    }
  }

  /** Whom to tell of invalidations. */
  public void setListener(TranslationListener newListener) {
    listener = newListener;
  }

  // ---- translation ---------------------------------------------------------------------------

  /**
   * Translates one access of one page. A non-canonical {@code gva} is a page fault; raising #GP or
   * #SS instead is the caller's business, as is truncating to 32 bits outside 64-bit mode.
   */
  public void translate(long gva, int access, TranslationResult result) {
    accesses++;
    if (regime == Regime.TRAP) {
      result.kind = TranslationResult.TRAPPED;
      return;
    }
    Tlb first = tlb.first(access);
    if (first.find(gva)) {
      if (serves(first, access)) {
        firstHits++;
        answer(first, gva, result);
        return;
      }
      tlb.dropEntry(gva);
    } else if (tlb.second().find(gva)) {
      if (serves(tlb.second(), access)) {
        secondHits++;
        tlb.promote(first, gva);
        answer(tlb.second(), gva, result);
        return;
      }
      tlb.dropEntry(gva);
    }
    walk(gva, access, first, result);
  }

  /** Whether the entry found allows the access: if not, only a walk can say what happens. */
  private boolean serves(Tlb found, int access) {
    int flags = found.flags();
    return rules.allows(flags & Rights.ALL, access)
        && dimension.allows(flags >>> Tlb.DIMENSION_SHIFT & Rights.ALL, access)
        && ((access & Access.WRITE) == 0 || (flags & Tlb.DIRTY) != 0);
  }

  private void answer(Tlb found, long gva, TranslationResult result) {
    int flags = found.flags();
    boolean global = (flags & Tlb.GLOBAL) != 0;
    result.mapped(found.hpa(gva), found.gpa(gva), global);
    handOut(gva, flags >>> Tlb.PAGE_SIZE_SHIFT, global);
  }

  private void handOut(long gva, int pageSizeLog2, boolean global) {
    (global ? handedOutGlobal : handedOut).note(gva, pageSizeLog2);
  }

  private void walk(long gva, int access, Tlb first, TranslationResult result) {
    walks++;
    long gpa = gva;
    int sizeLog2 = IDENTITY_SIZE_LOG2;
    int flags = Rights.ALL | Tlb.DIRTY;
    if (paging) {
      int outcome = structures.translate(walker, gva, access);
      if (outcome == Walker.UNREACHABLE) {
        nestedFault(gva, result);
        return;
      }
      if (outcome != Walker.MAPPED) {
        pageFaults++;
        result.pageFault(rules.errorCode(access, outcome));
        forgetFaulting(gva);
        return;
      }
      gpa = walker.physicalAddress(gva);
      sizeLog2 = walker.pageSizeLog2();
      flags =
          walker.rights()
              | (walker.isDirty() ? Tlb.DIRTY : 0)
              | (globalPages && walker.isGlobal() ? Tlb.GLOBAL : 0);
    }
    if (dimension.translate(gpa, access)) {
      enterMapping(gva, gpa, sizeLog2, flags, first);
      boolean global = (flags & Tlb.GLOBAL) != 0;
      result.mapped(dimension.hpa, dimension.isGuestPhysical() ? gpa : -1, global);
      handOut(gva, sizeLog2, global);
    } else {
      nestedFault(gva, result);
    }
  }

  private void enterMapping(long gva, long gpa, int guestSizeLog2, int guestFlags, Tlb first) {
    int flags =
        guestFlags
            | dimension.rights << Tlb.DIMENSION_SHIFT
            | guestSizeLog2 << Tlb.PAGE_SIZE_SHIFT
            | (dimension.isGuestPhysical() ? Tlb.GPA_KNOWN : 0);
    if (!dimension.dirty) {
      flags &= ~Tlb.DIRTY;
    }
    int sizeLog2 = Math.min(guestSizeLog2, dimension.sizeLog2);
    tlb.enter(first, gva, dimension.hpa, gpa, sizeLog2, flags);
  }

  /**
   * A fault, of either dimension, invalidates what would be used for its address (SDM vol. 3A,
   * 4.10.4.1; vol. 3C, 29.4.3.1). Kernels widen rights without INVLPG and rely on it. The
   * paging-structure caches have seen to themselves.
   */
  private void forgetFaulting(long gva) {
    tlb.dropEntry(gva);
    if (listener != null) {
      listener.pageInvalidated(gva);
    }
  }

  private void nestedFault(long gva, TranslationResult result) {
    nestedFaults++;
    result.nestedFault(
        dimension.faultGpa, dimension.faultQualification, dimension.faultMisconfiguration);
    forgetFaulting(gva);
  }

  // ---- what the guest does (the vCPU) ---------------------------------------------------------

  /**
   * CR3 was loaded (SDM vol. 3A, 4.10.4.1). The PDPTE registers, in PAE mode, are already loaded.
   *
   * @param keepTranslations bit 63 of the operand with CR4.PCIDE: nothing is invalidated
   */
  public void cr3Loaded(boolean keepTranslations) {
    boolean same = registers.cr3() == cr3;
    if (!keepTranslations) {
      flushes++;
      int pcid = registers.pcid();
      tlb.flushPcid(pcid);
      structureSpace.flushPcid(pcid);
    } else if (same) {
      return;
    }
    selectSpace();
    notifyNonGlobalInvalidated();
  }

  /**
   * CR0, CR4, EFER or MAXPHYADDR changed. Invalidates everything when the change is one that does
   * (SDM vol. 3A, 4.10.4.1) or that changes the meaning of entries.
   */
  public void controlsChanged() {
    if (regime != Regime.TRAP && controlsDiffer()) {
      flushes++;
      flushSpaces();
    }
    selectSpace();
    notifyAllInvalidated();
  }

  private boolean controlsDiffer() {
    return ((registers.cr0() ^ cr0) & CR0_FLUSHING) != 0
        || ((registers.cr4() ^ cr4) & CR4_FLUSHING) != 0
        || ((registers.efer() ^ efer) & EFER_FLUSHING) != 0;
  }

  /** Takes over the registers: format, root, rules, PCID. */
  private void selectSpace() {
    cr0 = registers.cr0();
    cr3 = registers.cr3();
    cr4 = registers.cr4();
    efer = registers.efer();
    paging = registers.paging();
    globalPages = (cr4 & PagingState.CR4_PGE) != 0;
    rules = AccessRules.of(registers);
    if (paging) {
      walker.load(registers);
    }
    tlb.select(tag, registers.pcid());
    structureSpace.select(tag, registers.pcid());
  }

  /** INVLPG: the page in the current PCID or global, and all its paging-structure entries. */
  public void invalidatePage(long gva) {
    pageInvalidations++;
    tlb.dropPage(gva);
    structureSpace.flushPcid(structureSpace.pcid());
    notifyPageInvalidated(gva);
  }

  /**
   * INVPCID (SDM vol. 2A): 0 individual address, 1 single context, 2 all contexts with globals, 3
   * all contexts without globals. The operand has been checked.
   */
  public void invalidatePcid(int type, int pcid, long gva) {
    switch (type) {
      case 0 -> {
        if (pcid == tlb.pcid()) {
          invalidatePage(gva);
        } else {
          flushPcid(pcid);
        }
      }
      case 1 -> flushPcid(pcid);
      case 2 -> {
        flushes++;
        tlb.flushTag(tag);
        structureSpace.flushTag(tag);
        notifyAllInvalidated();
      }
      case 3 -> {
        flushes++;
        tlb.flushNonGlobal();
        structureSpace.flushNonGlobal();
        notifyNonGlobalInvalidated();
      }
      default -> throw new IllegalArgumentException("no such INVPCID type: type=" + type);
    }
  }

  private void flushPcid(int pcid) {
    flushes++;
    tlb.flushPcid(pcid);
    structureSpace.flushPcid(pcid);
    if (pcid == tlb.pcid()) {
      notifyNonGlobalInvalidated();
    }
  }

  // ---- what the monitor invalidates -----------------------------------------------------------

  /** Everything, of every tag and dimension. */
  public void invalidateAll() {
    flushes++;
    flushSpaces();
    nested.invalidateAll();
    notifyAllInvalidated();
  }

  private void flushSpaces() {
    tlb.flushEverything();
    structureSpace.flushEverything();
  }

  /** Everything of one tag, globals and guest-physical mappings included (INVVPID, INVEPT). */
  public void invalidateTag(int whichTag) {
    flushes++;
    tlb.flushTag(whichTag);
    structureSpace.flushTag(whichTag);
    nested.invalidateTag(whichTag);
    if (whichTag == tag) {
      notifyAllInvalidated();
    }
  }

  /**
   * Everything derived from guest-physical {@code [gpa, gpa + sizeBytes)}. Where entries do not
   * know their GPA (host tables), the current tag goes as a whole.
   */
  public void invalidateNested(long gpa, long sizeBytes) {
    if (!dimension.isGuestPhysical()) {
      invalidateTag(tag);
      return;
    }
    pageInvalidations++;
    long end = gpa + sizeBytes;
    tlb.dropGuestPhysical(gpa, end);
    nested.dropGuestPhysical(gpa, end);
    notifyAllInvalidated();
  }

  private void notifyNonGlobalInvalidated() {
    handedOut.clear();
    if (listener != null) {
      listener.nonGlobalInvalidated();
    }
  }

  private void notifyAllInvalidated() {
    handedOut.clear();
    handedOutGlobal.clear();
    if (listener != null) {
      listener.translationsInvalidated();
    }
  }

  private void notifyPageInvalidated(long gva) {
    if (handedOut.mayCover(gva) || handedOutGlobal.mayCover(gva)) {
      notifyAllInvalidated();
    } else if (listener != null) {
      listener.pageInvalidated(gva);
    }
  }

  // ---- for people -----------------------------------------------------------------------------

  /**
   * Walks as if every cache were cold, changing nothing: no accessed or dirty flag, no cached
   * entry, no count. Empty in the trap regime, where the hardware has no tables.
   */
  public Optional<WalkTrace> explain(long gva, int access) {
    if (regime == Regime.TRAP) {
      return Optional.empty();
    }
    TranslationUnit twin = new TranslationUnit(machine, guest, TlbConfiguration.OFF);
    program.accept(twin);
    return Optional.of(ColdWalk.trace(twin, gva, access));
  }

  /** The walker of the first dimension. */
  Walker walker() {
    return walker;
  }

  /** The walker of nested tables. */
  Walker nestedWalker() {
    return nested.walker();
  }

  /** After a walk: binary logarithm of the size that it mapped alike. */
  int walkedSizeLog2() {
    return Math.min(paging ? walker.pageSizeLog2() : IDENTITY_SIZE_LOG2, dimension.sizeLog2);
  }

  /** After a walk: what the first dimension grants. */
  int walkedRights() {
    return paging ? walker.rights() : Rights.ALL;
  }

  /** What the TLBs hold for {@code gva} in the current address space; looking changes nothing. */
  public List<CachedTranslation> cached(long gva) {
    return tlb.describe(gva);
  }

  /**
   * What the TLB of the second dimension holds for {@code gpa} under the current nested tables;
   * looking changes nothing.
   */
  public List<CachedTranslation> nestedCached(long gpa) {
    return regime == Regime.NESTED ? nested.describe(gpa) : List.of();
  }

  /**
   * The level of the table at which a walk of {@code gva} would start now, thanks to the
   * paging-structure caches: the number of levels if it would start at the root.
   */
  public int startLevel(long gva) {
    return paging ? structures.startLevel(walker.format(), gva) : 0;
  }

  /** What has been counted so far. */
  public TlbCounters counters() {
    return new TlbCounters(
        accesses,
        firstHits,
        secondHits,
        walks,
        structures.hits(),
        hostStage.walker().references()
            + partitionStage.walker().references()
            + nestedStage.walker().references(),
        nested.tlbHits(),
        nested.walks(),
        nested.structureHits(),
        nested.references(),
        pageFaults,
        nestedFaults,
        flushes,
        pageInvalidations);
  }
}
