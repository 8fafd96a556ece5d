package memvisor.mmu;

import memvisor.memory.DerivedMappings;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationUnit;

/**
 * One way to virtualize the memory of one VM.
 *
 * <p>A technique registers itself with the VM's backing when it is constructed. All methods may be
 * called from any thread that runs a vCPU of the VM; a technique serialises them itself.
 */
public sealed interface Technique extends DerivedMappings
    permits PartitionTechnique,
        TrapTechnique,
        ShadowTechnique,
        NestedTechnique,
        memvisor.mmu.direct.DirectTechnique {
  /** The name a user types: {@code partition}, {@code trap}, {@code shadow}, {@code nested}. */
  String name();

  /** What the processor must exit on. */
  Intercepts intercepts();

  /**
   * Takes charge of one vCPU: programs its unit and returns the handler of its exits.
   *
   * @param unit the vCPU's memory-management unit
   * @param guest the guest's own paging registers, which the vCPU keeps up to date
   */
  VcpuMmu attach(TranslationUnit unit, PagingState guest);

  /** What was done and what it costs, now. */
  TechniqueStatistics statistics();
}
