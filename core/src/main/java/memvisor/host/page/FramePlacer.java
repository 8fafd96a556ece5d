package memvisor.host.page;

import java.util.Optional;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import memvisor.memory.PartitionSlice;

/** Takes frames for the guest pages of one VM as its {@link Placement} says. */
public final class FramePlacer {
  private static final long PAGE_BYTES = 4096;
  private static final long FOUR_GIB = 1L << 32;
  private static final int ORDER_2M = 9;
  private static final int ORDER_1G = 18;

  private final MachineFrames host;
  private final int vmId;
  private final GuestFrames frames;
  private final Placement placement;
  private final Optional<PartitionSlice> slice;

  /**
   * Prepares placement; a contiguous one takes its run now.
   *
   * @throws HostMemoryException if there is no such run
   */
  public FramePlacer(VmPages vm, Placement placement) {
    host = vm.host();
    vmId = vm.vmId();
    frames = vm.frames();
    this.placement = placement;
    slice = placement == Placement.CONTIGUOUS ? Optional.of(takeSlice(vm.map())) : Optional.empty();
  }

  /** The run of a contiguous placement. */
  public Optional<PartitionSlice> slice() {
    return slice;
  }

  /** Whether frames are taken one by one. */
  public boolean isScattered() {
    return placement == Placement.SCATTERED;
  }

  /** Whether whole blocks are taken where that is possible. */
  public boolean isHuge() {
    return placement == Placement.HUGE;
  }

  /** Takes one frame for a page; its HPA, or -1. */
  public long takeFrame(TransitionReason reason) {
    // Beside large pages, single ones take what is left of broken blocks.
    return isHuge()
        ? host.allocate(0, vmId, FrameRole.GUEST_PAGE, reason)
        : host.allocateScattered(vmId, FrameRole.GUEST_PAGE, reason);
  }

  /** Gives guest page {@code gfn}, which has none, a frame; its entry, or 0 if there is none. */
  public long populate(int region, long gfn) {
    // Beyond its slice a contiguous VM has memory too: what lies above the hole below 4 GiB.
    if (placement != Placement.SCATTERED) {
      for (int order = ORDER_1G; order >= ORDER_2M; order -= ORDER_2M) {
        if (populateBlock(region, gfn, order)) {
          return frames.get(region, gfn);
        }
      }
    }
    long hpa = takeFrame(TransitionReason.POPULATED);
    if (hpa < 0) {
      return 0;
    }
    long entry = Backing.of(hpa, false);
    frames.set(region, gfn, entry);
    return entry;
  }

  private boolean populateBlock(int region, long gfn, int order) {
    long count = 1L << order;
    long first = gfn & -count;
    if (first < frames.firstGfn(region)
        || first + count > frames.endGfn(region)
        || !host.hasRoomFor(count)
        || !frames.isEmpty(region, first, count)) {
      return false;
    }
    long hpa = host.allocate(order, vmId, FrameRole.GUEST_PAGE, TransitionReason.POPULATED);
    if (hpa < 0) {
      return false;
    }
    for (long page = 0; page < count; page++) {
      frames.set(region, first + page, Backing.of(hpa + page * PAGE_BYTES, false));
    }
    return true;
  }

  private PartitionSlice takeSlice(GuestMemoryMap map) {
    long limitBytes = 0;
    for (MemoryRegion region : map.regions()) {
      limitBytes = region.gpa() < FOUR_GIB ? region.end() : limitBytes;
    }
    int count = (int) (limitBytes / PAGE_BYTES);
    // Aligned as the largest page that could ever map it, so that large pages stay possible.
    int alignment = 1 << (count >= 1 << ORDER_1G ? ORDER_1G : ORDER_2M);
    long baseHpa =
        host.allocateRun(count, alignment, vmId, FrameRole.GUEST_PAGE, TransitionReason.POPULATED);
    if (baseHpa < 0 && alignment > 1 << ORDER_2M) {
      baseHpa =
          host.allocateRun(
              count, 1 << ORDER_2M, vmId, FrameRole.GUEST_PAGE, TransitionReason.POPULATED);
    }
    if (baseHpa < 0) {
      throw new HostMemoryException(
          "no contiguous run of %d bytes is free in machine memory; give the machine more memory"
                  .formatted(limitBytes)
              + " or choose another technique than partition");
    }
    fill(baseHpa, count);
    return new PartitionSlice(baseHpa, limitBytes);
  }

  // Base and limit cannot leave a hole out, so the frames in it stay this VM's, used for nothing.
  private void fill(long baseHpa, int count) {
    for (long gfn = 0; gfn < count; gfn++) {
      int region = frames.region(gfn);
      long hpa = baseHpa + gfn * PAGE_BYTES;
      if (region >= 0) {
        frames.set(region, gfn, Backing.of(hpa, false));
      } else {
        host.reserve(hpa, vmId);
      }
    }
  }

  /** Gives back what no guest page holds: the holes of a slice. */
  public void close() {
    slice.ifPresent(this::releaseHoles);
  }

  private void releaseHoles(PartitionSlice run) {
    for (long gpa = 0; gpa < run.limitBytes(); gpa += PAGE_BYTES) {
      if (frames.region(gpa / PAGE_BYTES) < 0) {
        host.free(run.baseHpa() + gpa, vmId, TransitionReason.VM_CLOSED);
      }
    }
  }
}
