package memvisor.mmu.direct;

import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.MemoryRegion;
import memvisor.memory.VmBacking;
import memvisor.mmu.Technique;
import memvisor.mmu.TechniqueStatistics;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationUnit;

/**
 * Direct paging over one VM's memory: hardware walks the guest's own tables, GVA to HPA in one
 * dimension.
 *
 * <p>The guest knows its machine frames, so all of them are populated now and host memory may not
 * move them.
 */
public final class DirectTechnique implements Technique {
  private static final int FRAME_BYTES_LOG2 = 12;

  private final DirectCounters counters = new DirectCounters();
  private final List<TranslationUnit> units = new ArrayList<>();
  private final VmBacking backing;
  private final PageTypes types;
  private final MonitorSlots slots;
  private final long sharedInfoMfn;
  private final long pages;

  /**
   * Direct paging for a VM with one region of memory, from guest-physical 0 on.
   *
   * @throws IllegalArgumentException if machine memory does not hold it and its tables
   */
  public DirectTechnique(VmBacking backing) {
    this.backing = backing;
    types = new PageTypes(backing.machine(), new Caches(), counters);
    slots = new MonitorSlots(backing);
    slots.install(types);
    long count = 0;
    for (MemoryRegion region : backing.map().regions()) {
      for (long gpa = region.gpa(); gpa < region.end(); gpa += 1 << FRAME_BYTES_LOG2) {
        long mfn = mfn(gpa >>> FRAME_BYTES_LOG2);
        if (mfn < 0) {
          throw new IllegalArgumentException("machine memory is too small for this guest");
        }
        types.own(mfn);
        slots.setMachineToPhysical(mfn, gpa >>> FRAME_BYTES_LOG2);
        count++;
      }
    }
    pages = count;
    sharedInfoMfn = backing.allocateTable(FrameRole.MONITOR_PAGE) >>> FRAME_BYTES_LOG2;
    types.own(sharedInfoMfn);
    backing.setDerivedMappings(this);
  }

  /** Machine frame behind a guest frame as the monitor's own map has it; -1 if there is none. */
  public long mfn(long pfn) {
    long frame = backing.frame(pfn, true);
    return Backing.isPresent(frame) ? Backing.hpa(frame) >>> FRAME_BYTES_LOG2 : -1;
  }

  /** The page-type system. */
  public PageTypes types() {
    return types;
  }

  /** The machine-to-physical table and the descriptor tables. */
  public MonitorSlots slots() {
    return slots;
  }

  /** The frame of shared_info: the domain's, but outside its physical map. */
  public long sharedInfoMfn() {
    return sharedInfoMfn;
  }

  /** Number of frames in the guest's physical map. */
  public long pages() {
    return pages;
  }

  DirectCounters counters() {
    return counters;
  }

  @Override
  public String name() {
    return "direct";
  }

  /** Page faults exit, because some are writes to page tables. */
  @Override
  public Intercepts intercepts() {
    return new Intercepts(true, false, false, false);
  }

  @Override
  public DirectVcpu attach(TranslationUnit unit, PagingState guest) {
    units.add(unit);
    return new DirectVcpu(this, backing.machine(), unit, guest);
  }

  @Override
  public void invalidate(long firstGfn, long count) {
    units.forEach(TranslationUnit::invalidateAll);
  }

  /**
   * The guest's tables are its own: permission cannot be taken away behind its back.
   *
   * @throws UnsupportedOperationException always
   */
  @Override
  public void writeProtect(long firstGfn, long count) {
    throw new UnsupportedOperationException(
        "direct paging cannot write-protect a guest: firstGfn=0x%x count=%d"
            .formatted(firstGfn, count));
  }

  @Override
  public TechniqueStatistics statistics() {
    SortedMap<String, Long> map = counters.toMap();
    return new TechniqueStatistics(name(), slots.frames(), map);
  }

  private final class Caches implements PageTypes.Translations {
    @Override
    public void flushAll() {
      units.forEach(TranslationUnit::invalidateAll);
    }

    @Override
    public void upperEntryChanged() {
      // INVLPG of any page drops all paging-structure entries (SDM vol. 3A, 4.10.4.1).
      units.forEach(unit -> unit.invalidatePage(MonitorSlots.GDT_GVA));
    }
  }
}
