package memvisor.host;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import memvisor.host.frames.CompactionCounters;
import memvisor.host.frames.FreeBlocks;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.Ledger;
import memvisor.host.frames.MachineFrames;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/** The memory of the machine and the VMs that have a part of it. Thread-safe. */
public final class HostMemory implements AutoCloseable {
  private static final int FRAME_BYTES = 4096;

  private final MachineFrames frames;
  private final List<VmMemory> vms = new ArrayList<>();

  /** What the VMs of a trust domain have in common, by domain and kind. */
  private final Map<String, Map<Class<?>, Object>> commons = new HashMap<>();

  private volatile @Nullable HostReclaim reclaim;
  private int lastVmId;

  private HostMemory(MachineFrames frames) {
    this.frames = frames;
  }

  /**
   * Machine memory of {@code sizeBytes}.
   *
   * @throws IllegalArgumentException if the size makes no sense; the message is for the user
   * @throws HostMemoryException if the host cannot provide it
   */
  public static HostMemory create(long sizeBytes) {
    return create(HostMemoryOptions.ofSize(sizeBytes));
  }

  /**
   * Machine memory as described.
   *
   * @throws HostMemoryException if the host cannot provide it
   */
  public static HostMemory create(HostMemoryOptions options) {
    return new HostMemory(MachineFrames.create(options));
  }

  /** The arena as the machine's physical memory. */
  public MachineMemory machine() {
    return frames.machine();
  }

  /** Who owns which frame. */
  public Ledger ledger() {
    return frames.ledger();
  }

  /** Bytes that no VM owns. */
  public long freeBytes() {
    return frames.freeFrames() * FRAME_BYTES;
  }

  /**
   * Lets VMs created from here on have more memory than the machine, and takes from them what they
   * do not need now: equal pages, cold pages.
   *
   * @throws IllegalStateException if it is on already
   */
  public synchronized HostReclaim enableReclaim(ReclaimOptions reclaimOptions) {
    if (reclaim != null) {
      throw new IllegalStateException("reclaim is on already");
    }
    HostReclaim enabled = new HostReclaim(frames, reclaimOptions);
    frames.keepFree(reclaimOptions.highFrames());
    reclaim = enabled;
    return enabled;
  }

  /** What takes memory back from VMs, if it is on. */
  public Optional<HostReclaim> reclaim() {
    return Optional.ofNullable(reclaim);
  }

  /**
   * Gives a new VM its memory.
   *
   * @throws IllegalArgumentException if the machine is smaller than the VM; the message is for the
   *     user
   * @throws HostMemoryException if a contiguous run is asked for and there is none
   */
  public VmMemory createVm(GuestMemoryMap map, Placement placement) {
    boolean overcommitted = reclaim != null && placement != Placement.CONTIGUOUS;
    if (map.sizeBytes() > frames.sizeBytes() && !overcommitted) {
      throw new IllegalArgumentException(
          "a VM with %d bytes of memory does not fit into a machine of %d bytes"
              .formatted(map.sizeBytes(), frames.sizeBytes()));
    }
    try {
      VmMemory vm = new VmMemory(this, frames, nextVmId(), map, placement);
      register(vm);
      return vm;
    } catch (OutOfMemoryError e) {
      throw new HostMemoryException(
          "the Java heap is too small for the map of a VM with %d bytes; raise -Xmx or give the VM"
                  .formatted(map.sizeBytes())
              + " less memory",
          e);
    }
  }

  private synchronized void register(VmMemory vm) {
    vms.add(vm);
  }

  /** Forgets a VM that gave back all it had. */
  synchronized void unregister(VmMemory vm) {
    vms.remove(vm);
    commons.remove(vm.ownTrustDomain());
  }

  /** The one thing of a kind that a trust domain has; the first to ask makes it. */
  synchronized <T> T common(String trustDomain, Class<T> kind, Supplier<T> maker) {
    Map<Class<?>, Object> domain = commons.computeIfAbsent(trustDomain, name -> new HashMap<>());
    return kind.cast(domain.computeIfAbsent(kind, k -> maker.get()));
  }

  /** Number of VMs that have memory now. */
  public synchronized int vmCount() {
    return vms.size();
  }

  private synchronized int nextVmId() {
    return ++lastVmId;
  }

  /**
   * For tests: from here on the n-th allocation fails, counted from 0, where {@code which} says.
   */
  void refuse(LongPredicate which) {
    frames.refuse(which);
  }

  /**
   * Proves that every sum is exact.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public void audit() {
    frames.audit();
    List<VmMemory> open = openVms();
    open.forEach(VmMemory::audit);
    HostReclaim on = reclaim;
    if (on != null) {
      on.audit(open.stream().flatMap(vm -> vm.reclaim().stream()).toList());
    }
  }

  /** How the free frames lie. */
  public FreeBlocks freeBlocks() {
    return frames.freeBlocks();
  }

  /** What was done to make free blocks of 2 MiB. */
  public CompactionCounters compactions() {
    return frames.compactions();
  }

  /** Has the VMs move pages, when they next stand still, so that a block of 2 MiB becomes free. */
  void compact() {
    Map<Integer, VmMemory> movable = new HashMap<>();
    openVms().stream().filter(VmMemory::isMovable).forEach(vm -> movable.put(vm.vmId(), vm));
    if (frames.compact(movable::containsKey)) {
      movable.values().forEach(VmMemory::askForHousekeeping);
    }
  }

  /**
   * Closes what VMs are left and unmaps the arena. None of their vCPUs or devices may still run:
   * host addresses they hold would no longer exist.
   */
  @Override
  public void close() {
    // Outside the lock: a VM takes its own lock first and then this one.
    openVms().forEach(VmMemory::close);
    HostReclaim on = reclaim;
    if (on != null) {
      closeSwap(on);
    }
    frames.close();
  }

  private static void closeSwap(HostReclaim on) {
    if (on.options().swap().isPresent()) {
      try {
        on.options().swap().get().close();
      } catch (IOException e) {
        throw new HostMemoryException("closing the swap file failed", e);
      }
    }
  }

  private synchronized List<VmMemory> openVms() {
    return List.copyOf(vms);
  }
}
