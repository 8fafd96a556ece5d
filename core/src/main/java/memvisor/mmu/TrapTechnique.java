package memvisor.mmu;

import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * Every access exits: the monitor walks the guest's tables and its own map and performs the access.
 *
 * <p>Complete, correct and slow: no table is derived and nothing is cached, so nothing can be
 * stale. The baseline that the other techniques are measured against.
 */
public final class TrapTechnique implements Technique {
  private final VmBacking backing;
  private final Counters counters = new Counters();

  /** The trap technique over one VM's memory. */
  public TrapTechnique(VmBacking backing) {
    this.backing = backing;
    backing.setDerivedMappings(this);
  }

  @Override
  public String name() {
    return "trap";
  }

  @Override
  public Intercepts intercepts() {
    return Intercepts.NONE;
  }

  @Override
  public VcpuMmu attach(TranslationUnit unit, PagingState guest) {
    unit.trap();
    return new Mmu(new EmulatedAccess(backing, guest, counters));
  }

  @Override
  public void invalidate(long firstGfn, long count) {
    counters.invalidations++;
  }

  @Override
  public void writeProtect(long firstGfn, long count) {
    counters.invalidations++;
  }

  @Override
  public TechniqueStatistics statistics() {
    return new TechniqueStatistics(name(), 0, counters.toMap());
  }

  private final class Mmu extends UninterceptedMmu {
    private final EmulatedAccess emulated;

    Mmu(EmulatedAccess emulated) {
      this.emulated = emulated;
    }

    @Override
    public void resolve(long gva, int access, TranslationResult result) {
      emulated.perform(gva, access, result);
      counters.count(result.kind);
    }
  }
}
