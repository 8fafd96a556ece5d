package memvisor.mmu;

import java.util.List;
import java.util.SortedMap;
import java.util.function.LongConsumer;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationUnit;

/**
 * Shadow paging: hardware runs on tables GVA → HPA that the monitor derives, page fault by page
 * fault, from the guest's tables and the VM's memory map.
 *
 * <p>One shadow page per guest table and role, kept when the guest switches away, so that each
 * process keeps its set. Guest tables are write-protected, and writes to them are performed by the
 * monitor; last-level tables may be left writable (unsynchronised) until the guest invalidates
 * translations.
 */
public final class ShadowTechnique implements Technique {
  private final VmBacking backing;
  private final ShadowOptions options;
  private final Units units = new Units();
  private final Counters counters = new Counters();
  private final ShadowTables tables;

  /** The shadow technique with default options. */
  public ShadowTechnique(VmBacking backing) {
    this(backing, ShadowOptions.DEFAULT);
  }

  /** The shadow technique over one VM's memory. */
  public ShadowTechnique(VmBacking backing, ShadowOptions options) {
    this.backing = backing;
    this.options = options;
    this.tables = new ShadowTables(backing, units, options);
    backing.setDerivedMappings(this);
  }

  VmBacking backing() {
    return backing;
  }

  ShadowOptions options() {
    return options;
  }

  ShadowTables tables() {
    return tables;
  }

  Counters counters() {
    return counters;
  }

  @Override
  public String name() {
    return "shadow";
  }

  @Override
  public Intercepts intercepts() {
    return Intercepts.ALL;
  }

  @Override
  public synchronized VcpuMmu attach(TranslationUnit unit, PagingState guest) {
    units.add(unit);
    return new ShadowVcpu(this, unit, guest);
  }

  @Override
  public synchronized void invalidate(long firstGfn, long count) {
    counters.invalidations++;
    tables.forget(firstGfn, count);
    tables.flush();
  }

  @Override
  public synchronized void writeProtect(long firstGfn, long count) {
    counters.invalidations++;
    tables.protectFrames(firstGfn, count);
    tables.flush();
  }

  @Override
  public synchronized boolean harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
    tables.harvestAccessed(firstGfn, count, accessed);
    tables.flush();
    return true;
  }

  /**
   * Guest memory changed behind the vCPUs' backs (DMA, the monitor): what was derived from tables
   * in that range is brought into step.
   */
  public synchronized void memoryWritten(long gpa, long lengthBytes) {
    tables.written(gpa, lengthBytes);
  }

  /** Throws every shadow entry away; the guest cannot tell. */
  public synchronized void dropAll() {
    tables.dropAll();
  }

  /** What each guest root in the cache costs, by ascending guest frame. */
  public synchronized List<ShadowRootCost> rootCosts() {
    return ShadowCosts.of(tables.pages);
  }

  @Override
  public synchronized TechniqueStatistics statistics() {
    SortedMap<String, Long> map = counters.toMap();
    tables.counters.addTo(map);
    map.put("shadow-pages-live", (long) tables.pages.live());
    return new TechniqueStatistics(name(), tables.pages.frames(), map);
  }
}
