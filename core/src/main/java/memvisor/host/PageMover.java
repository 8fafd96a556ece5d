package memvisor.host;

import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/** Moves pages of one VM to other frames while it stands still; the old ones are then free. */
final class PageMover {
  private static final long PAGE_BYTES = 4096;

  private final VmMemory vm;
  private final HostMemory host;
  private final GuestFrames frames;

  PageMover(VmMemory vm, HostMemory host, GuestFrames frames) {
    this.vm = vm;
    this.host = host;
    this.frames = frames;
  }

  /** Moves a page to a frame nobody can guess; false if it has none of its own or none is free. */
  boolean scatter(long gfn) {
    int region = frames.region(gfn);
    if (region < 0 || !PageEntry.isPrivate(frames.get(region, gfn))) {
      return false;
    }
    long hpa = host.allocateScattered(vm.vmId(), FrameRole.GUEST_PAGE, TransitionReason.MOVED);
    if (hpa < 0) {
      return false;
    }
    // Announced outside the VM's lock: techniques have locks of their own.
    vm.derived().invalidate(gfn, 1);
    synchronized (vm) {
      long old = frames.get(region, gfn);
      MachineMemory machine = host.machine();
      Hva.copy(machine.hva(Backing.hpa(old)), machine.hva(hpa), PAGE_BYTES);
      frames.set(region, gfn, Backing.of(hpa, false));
      host.free(Backing.hpa(old), vm.vmId(), TransitionReason.FREED);
    }
    return true;
  }
}
