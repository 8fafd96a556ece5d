package memvisor.mmu;

import memvisor.memory.DerivedMappings;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MachineMemory;
import memvisor.memory.VmBacking;

/** Host memory during whose allocations something else happens, or that runs out of frames. */
final class RacingBacking implements VmBacking {
  private final VmBacking inner;

  Runnable onAllocate = () -> {};
  long allocationsLeft = Long.MAX_VALUE;

  RacingBacking(VmBacking inner) {
    this.inner = inner;
  }

  @Override
  public MachineMemory machine() {
    return inner.machine();
  }

  @Override
  public GuestMemoryMap map() {
    return inner.map();
  }

  @Override
  public long frame(long gfn, boolean write) {
    return inner.frame(gfn, write);
  }

  @Override
  public long peek(long gfn) {
    return inner.peek(gfn);
  }

  @Override
  public int contiguousSizeLog2(long gfn, int mostLog2) {
    return inner.contiguousSizeLog2(gfn, mostLog2);
  }

  @Override
  public long allocateTable(FrameRole role) {
    onAllocate.run();
    return allocationsLeft-- > 0 ? inner.allocateTable(role) : -1;
  }

  @Override
  public void freeTable(long hpa) {
    allocationsLeft++;
    inner.freeTable(hpa);
  }

  @Override
  public void setDerivedMappings(DerivedMappings derived) {
    inner.setDerivedMappings(derived);
  }
}
