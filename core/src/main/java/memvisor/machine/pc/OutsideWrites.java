package memvisor.machine.pc;

import memvisor.cpu.x86.Vcpu;
import memvisor.host.VmMemory;
import memvisor.memory.Backing;
import memvisor.memory.WriteObserver;
import memvisor.mmu.ShadowTechnique;
import memvisor.mmu.Technique;

/** Tells the vCPU and the technique of guest memory that a loader or a device wrote. */
final class OutsideWrites implements WriteObserver {
  private static final int PAGE_BYTES = 4096;

  private final Technique technique;
  private final VmMemory memory;
  private final Vcpu vcpu;

  OutsideWrites(Technique technique, VmMemory memory, Vcpu vcpu) {
    this.technique = technique;
    this.memory = memory;
    this.vcpu = vcpu;
  }

  @Override
  public void written(long gpa, long lengthBytes) {
    for (long at = gpa; at < gpa + lengthBytes; at = (at | PAGE_BYTES - 1) + 1) {
      long backing = memory.peek(at >>> 12);
      if (Backing.isPresent(backing)) {
        long inPage = Math.min(gpa + lengthBytes - at, PAGE_BYTES - (at & PAGE_BYTES - 1));
        vcpu.codeWritten(Backing.hpa(backing) | at & PAGE_BYTES - 1, inPage);
      }
    }
    if (technique instanceof ShadowTechnique shadow) {
      shadow.memoryWritten(gpa, lengthBytes);
    }
  }
}
