package memvisor.host;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * The memory of the machine: the arena, its free frames and its ledger.
 *
 * <p>Every frame handed out is zeroed, and no frame is handed out twice before it was given back.
 * Thread-safe.
 */
public final class HostMemory implements AutoCloseable {
  private static final int FRAME_BYTES = 4096;

  /*
   * Scattered frames come from one window of 64 MiB at a time. Scattering over the whole machine
   * would leave no 2 MiB run anywhere as soon as one small VM has started.
   */
  private static final int WINDOW_FRAMES = 1 << 14;
  private static final int PROBES = 16;

  private final HostMemoryOptions options;
  private final AnonymousMemory arena;
  private final MachineMemory machine;
  private final BuddyAllocator frames;
  private final Ledger ledger;
  private final SplittableRandom random;
  private final Compaction compaction;
  private final List<VmMemory> vms = new ArrayList<>();

  /** What the VMs of a trust domain have in common, by domain and kind. */
  private final Map<String, Map<Class<?>, Object>> commons = new HashMap<>();

  private volatile @Nullable HostReclaim reclaim;
  private volatile long freeFrames;
  private int window;
  private int lastVmId;
  private boolean closed;
  private LongPredicate refusal = n -> false;
  private long allocations;

  private HostMemory(HostMemoryOptions options, AnonymousMemory arena) {
    this.options = options;
    this.arena = arena;
    machine = new MachineMemory(arena.baseHva(), options.sizeBytes());
    frames = new BuddyAllocator(options.frameCount());
    long start = System.nanoTime();
    ledger = new Ledger(options.frameCount(), () -> System.nanoTime() - start);
    random = new SplittableRandom(options.seed());
    compaction = new Compaction(frames, ledger);
    freeFrames = options.frameCount();
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
    AnonymousMemory arena = AnonymousMemory.map(options.sizeBytes());
    try {
      return new HostMemory(options, arena);
    } catch (OutOfMemoryError e) {
      arena.close();
      throw new HostMemoryException(
          "the Java heap is too small for the ledger of %d frames; raise -Xmx or configure less"
                  .formatted(options.frameCount())
              + " machine memory",
          e);
    }
  }

  /** The arena as the machine's physical memory. */
  public MachineMemory machine() {
    return machine;
  }

  /** Who owns which frame. */
  public Ledger ledger() {
    return ledger;
  }

  /** Bytes that no VM owns. */
  public long freeBytes() {
    return freeFrames * FRAME_BYTES;
  }

  /** Frames that nobody owns. */
  long freeFrames() {
    return freeFrames;
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
    HostReclaim enabled = new HostReclaim(this, reclaimOptions);
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
    if (map.sizeBytes() > options.sizeBytes() && !overcommitted) {
      throw new IllegalArgumentException(
          "a VM with %d bytes of memory does not fit into a machine of %d bytes"
              .formatted(map.sizeBytes(), options.sizeBytes()));
    }
    try {
      VmMemory vm = new VmMemory(this, nextVmId(), map, placement);
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
  synchronized void refuse(LongPredicate which) {
    refusal = which;
    allocations = 0;
  }

  private boolean isRefused() {
    return refusal.test(allocations++);
  }

  /** Takes an aligned block of 2^order zeroed frames; its HPA, or -1. */
  synchronized long allocate(int order, int vmId, FrameRole role, TransitionReason reason) {
    requireOpen();
    if (isRefused()) {
      return -1;
    }
    int first = frames.allocate(order);
    if (first < 0 && order == 0 && compaction.abandon()) {
      first = frames.allocate(order);
    }
    return hand(first, 1 << order, vmId, role, reason);
  }

  /** Takes one zeroed frame from a place nobody can guess; its HPA, or -1. */
  synchronized long allocateScattered(int vmId, FrameRole role, TransitionReason reason) {
    requireOpen();
    if (isRefused()) {
      return -1;
    }
    int frame = scatteredFrame();
    if (frame < 0 && compaction.abandon()) {
      frame = scatteredFrame();
    }
    return hand(frame, 1, vmId, role, reason);
  }

  /** Takes a run of frames aligned to {@code alignment} frames; its HPA, or -1. */
  synchronized long allocateRun(
      int count, int alignment, int vmId, FrameRole role, TransitionReason reason) {
    requireOpen();
    int first = frames.findRun(count, alignment);
    if (first >= 0) {
      frames.claim(first, count);
    }
    return hand(first, count, vmId, role, reason);
  }

  private long hand(int first, int count, int vmId, FrameRole role, TransitionReason reason) {
    freeFrames = frames.freeFrames();
    if (first < 0) {
      return -1;
    }
    ledger.assign(first, count, vmId, role, reason);
    long hpa = (long) first * FRAME_BYTES;
    if (options.junkOnFree()) {
      Hva.fill(machine.hva(hpa), (long) count * FRAME_BYTES, 0);
    }
    return hpa;
  }

  private int scatteredFrame() {
    int windowFrames = Math.min(WINDOW_FRAMES, options.frameCount() - window);
    for (int probe = 0; probe < PROBES; probe++) {
      int frame = window + random.nextInt(windowFrames);
      if (frames.isFree(frame)) {
        frames.claim(frame, 1);
        return frame;
      }
    }
    // The window is nearly full. What is left of it lies in small blocks: those go first.
    int order = frames.smallestOrder();
    if (order < 0) {
      return -1;
    }
    int block = frames.allocate(order);
    int frame = block + random.nextInt(1 << order);
    frames.free(block, 1 << order);
    frames.claim(frame, 1);
    window = frame & -WINDOW_FRAMES;
    return frame;
  }

  /** Makes a frame of {@code vmId} one that it owns and nobody uses. */
  synchronized void reserve(long hpa, int vmId) {
    int frame = (int) (hpa / FRAME_BYTES);
    ledger.release(frame, vmId, TransitionReason.FREED);
    ledger.assign(frame, 1, vmId, FrameRole.RESERVED, TransitionReason.PARTITION_HOLE);
  }

  /** Gives up one reference of {@code vmId} to a frame; the last one makes it free and zeroed. */
  synchronized void free(long hpa, int vmId, TransitionReason reason) {
    int frame = (int) (hpa / FRAME_BYTES);
    if (!ledger.release(frame, vmId, reason)) {
      return;
    }
    // Zeroed at once, not when it is next taken: what one VM wrote lies nowhere longer than needed.
    Hva.fill(machine.hva(hpa), FRAME_BYTES, options.junkOnFree() ? 0xCC : 0);
    if (!compaction.keeps(frame)) {
      frames.free(frame, 1);
    }
    freeFrames = frames.freeFrames();
  }

  /** Records one more user of a frame. */
  synchronized void retain(long hpa) {
    ledger.retain((int) (hpa / FRAME_BYTES));
  }

  /** Number of users of a frame. */
  int references(long hpa) {
    return ledger.referenceCount(hpa / FRAME_BYTES);
  }

  /** Gives a frame with one user another owner and role; its contents stay. */
  synchronized void transfer(
      long hpa, int fromVmId, int toVmId, FrameRole role, TransitionReason reason) {
    ledger.transfer((int) (hpa / FRAME_BYTES), fromVmId, toVmId, role, reason);
  }

  /**
   * Proves that every sum is exact.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public void audit() {
    synchronized (this) {
      ledger.audit();
      long free = ledger.totals().count(FrameRole.FREE);
      long apart = compaction.framesApart();
      if (free != frames.freeFrames() + apart || frames.freeFrames() != freeFrames) {
        throw new IllegalStateException(
            "ledger and allocator disagree: ledgerFree=%d allocatorFree=%d setApart=%d"
                .formatted(free, frames.freeFrames(), apart));
      }
    }
    List<VmMemory> open = openVms();
    open.forEach(VmMemory::audit);
    HostReclaim on = reclaim;
    if (on != null) {
      on.audit(open);
    }
  }

  /** How the free frames lie. */
  public synchronized FreeBlocks freeBlocks() {
    long[] blocks = new long[BuddyAllocator.MAX_ORDER + 1];
    for (int order = 0; order < blocks.length; order++) {
      blocks[order] = frames.blocks(order);
    }
    return new FreeBlocks(frames.freeFrames(), blocks);
  }

  /** What was done to make free blocks of 2 MiB. */
  public synchronized CompactionCounters compactions() {
    return compaction.counters();
  }

  /** Whether so many frames can be taken without making memory short. */
  boolean hasRoomFor(long count) {
    HostReclaim on = reclaim;
    return on == null || freeFrames - count >= on.options().highFrames();
  }

  /** Has the VMs move pages, when they next stand still, so that a block of 2 MiB becomes free. */
  void compact() {
    Map<Integer, VmMemory> movable = new HashMap<>();
    openVms().stream().filter(VmMemory::isMovable).forEach(vm -> movable.put(vm.vmId(), vm));
    HostReclaim on = reclaim;
    synchronized (this) {
      int before = compaction.rounds();
      compaction.start(movable::containsKey, on == null ? 0 : on.options().highFrames());
      freeFrames = frames.freeFrames();
      if (compaction.rounds() == before) {
        return;
      }
    }
    movable.values().forEach(VmMemory::askForHousekeeping);
  }

  /** Grows whenever {@link #compact} found something for VMs to move. */
  synchronized int compactionRounds() {
    return compaction.rounds();
  }

  /** The blocks of 2 MiB that pages have to leave, by number. */
  synchronized BitSet blocksToEmpty() {
    return compaction.emptying();
  }

  synchronized void countCompacted(long pages) {
    compaction.countMoved(pages);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("machine memory is closed");
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
      on.close();
    }
    synchronized (this) {
      closed = true;
      arena.close();
    }
  }

  private synchronized List<VmMemory> openVms() {
    return List.copyOf(vms);
  }
}
