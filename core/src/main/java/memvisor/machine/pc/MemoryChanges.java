package memvisor.machine.pc;

import java.util.function.LongConsumer;
import memvisor.cpu.x86.Vcpu;
import memvisor.host.VmMemory;
import memvisor.memory.Backing;
import memvisor.memory.DerivedMappings;
import memvisor.mmu.Technique;

/**
 * Passes host memory's announcements on: the technique drops its entries (and with them the units'
 * and the vCPU's translations), then the vCPU drops code decoded from the frames.
 */
final class MemoryChanges implements DerivedMappings {
  private final Technique technique;
  private final VmMemory memory;
  private final Vcpu vcpu;

  MemoryChanges(Technique technique, VmMemory memory, Vcpu vcpu) {
    this.technique = technique;
    this.memory = memory;
    this.vcpu = vcpu;
  }

  @Override
  public void invalidate(long firstGfn, long count) {
    technique.invalidate(firstGfn, count);
    for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
      long backing = memory.peek(gfn);
      if (Backing.isPresent(backing)) {
        vcpu.frameDiscarded(Backing.hpa(backing));
      }
    }
  }

  @Override
  public void writeProtect(long firstGfn, long count) {
    technique.writeProtect(firstGfn, count);
  }

  @Override
  public boolean harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
    return technique.harvestAccessed(firstGfn, count, accessed);
  }
}
