package memvisor.host.frames;

import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.function.LongPredicate;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/**
 * The frames of the machine: the arena they lie in, which are free, and whose the others are.
 *
 * <p>Every frame handed out is zeroed, and no frame is handed out twice before it was given back.
 * Thread-safe.
 */
public final class MachineFrames implements AutoCloseable {
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
  private volatile long freeFrames;
  private volatile long reserve;
  private int window;
  private boolean closed;
  private LongPredicate refusal = n -> false;
  private long allocations;

  private MachineFrames(HostMemoryOptions options, AnonymousMemory arena) {
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
   * Machine memory as described.
   *
   * @throws HostMemoryException if the host cannot provide it
   */
  public static MachineFrames create(HostMemoryOptions options) {
    AnonymousMemory arena = AnonymousMemory.map(options.sizeBytes());
    try {
      return new MachineFrames(options, arena);
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

  /** Bytes of all frames. */
  public long sizeBytes() {
    return options.sizeBytes();
  }

  /** Frames that nobody owns. */
  public long freeFrames() {
    return freeFrames;
  }

  /**
   * For tests: from here on the n-th allocation fails, counted from 0, where {@code which} says.
   */
  public synchronized void refuse(LongPredicate which) {
    refusal = which;
    allocations = 0;
  }

  private boolean isRefused() {
    return refusal.test(allocations++);
  }

  /** Takes an aligned block of 2^order zeroed frames; its HPA, or -1. */
  public synchronized long allocate(int order, int vmId, FrameRole role, TransitionReason reason) {
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
  public synchronized long allocateScattered(int vmId, FrameRole role, TransitionReason reason) {
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
  public synchronized long allocateRun(
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
  public synchronized void reserve(long hpa, int vmId) {
    int frame = (int) (hpa / FRAME_BYTES);
    ledger.release(frame, vmId, TransitionReason.FREED);
    ledger.assign(frame, 1, vmId, FrameRole.RESERVED, TransitionReason.PARTITION_HOLE);
  }

  /** Gives up one reference of {@code vmId} to a frame; the last one makes it free and zeroed. */
  public synchronized void free(long hpa, int vmId, TransitionReason reason) {
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

  /** Gives up one reference of {@code vmId} to a frame, unless it is the last; whether it did. */
  public boolean freeUnlessLast(long hpa, int vmId) {
    return ledger.releaseUnlessLast((int) (hpa / FRAME_BYTES), vmId);
  }

  /** Records one more user of a frame. */
  public void retain(long hpa) {
    ledger.retain((int) (hpa / FRAME_BYTES));
  }

  /** Number of users of a frame. */
  public int references(long hpa) {
    return ledger.referenceCount(hpa / FRAME_BYTES);
  }

  /** Gives a frame with one user another owner and role; its contents stay. */
  public synchronized void transfer(
      long hpa, int fromVmId, int toVmId, FrameRole role, TransitionReason reason) {
    ledger.transfer((int) (hpa / FRAME_BYTES), fromVmId, toVmId, role, reason);
  }

  /**
   * Proves that the ledger and the allocator agree on every frame.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public synchronized void audit() {
    ledger.audit();
    long free = ledger.totals().count(FrameRole.FREE);
    long apart = compaction.framesApart();
    if (free != frames.freeFrames() + apart || frames.freeFrames() != freeFrames) {
      throw new IllegalStateException(
          "ledger and allocator disagree: ledgerFree=%d allocatorFree=%d setApart=%d"
              .formatted(free, frames.freeFrames(), apart));
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

  /** Sets how many frames must stay free when a block is taken that need not be. */
  public void keepFree(long count) {
    reserve = count;
  }

  /** Whether so many frames can be taken without making memory short. */
  public boolean hasRoomFor(long count) {
    return reserve == 0 || freeFrames - count >= reserve;
  }

  /**
   * Chooses a block of 2 MiB to be emptied, unless one is.
   *
   * @param movable which VMs can move their pages
   * @return whether there is something new for them to move
   */
  public synchronized boolean compact(IntPredicate movable) {
    int before = compaction.rounds();
    compaction.start(movable, reserve);
    freeFrames = frames.freeFrames();
    return compaction.rounds() != before;
  }

  /** Grows whenever {@link #compact} found something for VMs to move. */
  public synchronized int compactionRounds() {
    return compaction.rounds();
  }

  /** The blocks of 2 MiB that pages have to leave, by number. */
  public synchronized BitSet blocksToEmpty() {
    return compaction.emptying();
  }

  /** Counts pages that were moved out of such a block. */
  public synchronized void countCompacted(long pages) {
    compaction.countMoved(pages);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("machine memory is closed");
    }
  }

  /** Unmaps the arena: host addresses in it no longer exist. */
  @Override
  public synchronized void close() {
    closed = true;
    arena.close();
  }
}
