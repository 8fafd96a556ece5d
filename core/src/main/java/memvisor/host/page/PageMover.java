package memvisor.host.page;

import java.util.BitSet;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.Backing;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/** Moves pages of one VM to other frames while it stands still; the old ones are then free. */
public final class PageMover {
  private static final long PAGE_BYTES = 4096;

  private final VmPages vm;
  private final MachineFrames host;
  private final GuestFrames frames;
  private final FramePlacer placer;
  private int roundsSeen;

  /** Moves pages to frames that {@code placer} takes. */
  public PageMover(VmPages vm, FramePlacer placer) {
    this.vm = vm;
    host = vm.host();
    frames = vm.frames();
    this.placer = placer;
  }

  /** Whether {@link #evacuate} has to look for pages in the way. */
  public boolean isDue() {
    return host.compactionRounds() != roundsSeen;
  }

  /** Moves pages out of the blocks that are to become free; the VM stands still. */
  public void evacuate() {
    roundsSeen = host.compactionRounds();
    BitSet leaving = host.blocksToEmpty();
    if (leaving.isEmpty()) {
      return;
    }
    long[] moved = new long[1];
    frames.forEach(
        (region, gfn, entry) -> {
          int block = (int) (Backing.hpa(entry) >>> 21);
          if (PageEntry.isPrivate(entry)
              && leaving.get(block)
              && move(region, gfn, TransitionReason.COMPACTED)) {
            moved[0]++;
          }
        });
    host.countCompacted(moved[0]);
  }

  /** Moves a page to another frame; false if it has none of its own or none is free. */
  public boolean move(long gfn) {
    int region = frames.region(gfn);
    return region >= 0
        && PageEntry.isPrivate(frames.get(region, gfn))
        && move(region, gfn, TransitionReason.MOVED);
  }

  private boolean move(int region, long gfn, TransitionReason why) {
    long started = host.ledger().nowNanos();
    long hpa = placer.takeFrame(why);
    if (hpa < 0) {
      return false;
    }
    // Announced outside the VM's lock: techniques have locks of their own.
    vm.derived().invalidate(gfn, 1);
    synchronized (vm) {
      long old = frames.get(region, gfn);
      MachineMemory machine = host.machine();
      Hva.copy(machine.hva(Backing.hpa(old)), machine.hva(hpa), PAGE_BYTES);
      vm.publish(region, gfn, Backing.of(hpa, false), why, started);
      host.free(Backing.hpa(old), vm.vmId(), TransitionReason.FREED);
    }
    return true;
  }
}
