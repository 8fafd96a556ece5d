package memvisor.machine.pc;

import memvisor.address.PageSize;
import memvisor.host.VmMemory;
import memvisor.host.page.Placement;
import memvisor.machine.ExitReason;
import memvisor.machine.TechniqueKind;
import memvisor.mmu.NestedOptions;
import memvisor.mmu.NestedTechnique;
import memvisor.mmu.PartitionTechnique;
import memvisor.mmu.ShadowTechnique;
import memvisor.mmu.Technique;
import memvisor.mmu.TrapTechnique;

/** Builds the chosen technique and says how its guest's frames are placed. */
final class Techniques {
  private Techniques() {}

  static Placement placement(TechniqueKind kind, boolean hugePages) {
    if (kind == TechniqueKind.PARTITION) {
      return Placement.CONTIGUOUS;
    }
    return hugePages ? Placement.HUGE : Placement.SCATTERED;
  }

  static Technique create(PcConfiguration configuration, VmMemory memory) {
    return switch (configuration.technique()) {
      case NESTED ->
          new NestedTechnique(
              memory,
              new NestedOptions(
                  configuration.nestedFiveLevels() ? 5 : 4, PageSize.SIZE_1G, configuration.npt()));
      case SHADOW -> new ShadowTechnique(memory);
      case PARTITION -> new PartitionTechnique(memory);
      case TRAP -> new TrapTechnique(memory);
      case DIRECT -> throw new IllegalStateException("a PC with direct paging");
    };
  }

  static ExitReason nestedFaultReason(TechniqueKind kind) {
    return kind == TechniqueKind.PARTITION ? ExitReason.PARTITION_LIMIT : ExitReason.EPT_VIOLATION;
  }
}
