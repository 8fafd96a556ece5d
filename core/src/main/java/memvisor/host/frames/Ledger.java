package memvisor.host.frames;

import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.function.LongSupplier;
import memvisor.host.HostMemory;
import memvisor.memory.FrameRole;

/**
 * Who owns each host frame, what for, since when and why.
 *
 * <p>Columns are primitive arrays indexed by host frame number (18 bytes for 4096). Running sums
 * per role and VM are kept beside them, and {@link #audit} proves that both agree. Only {@link
 * HostMemory} changes a ledger; anybody may read it from any thread.
 */
public final class Ledger {
  /** Owner of a frame that belongs to no VM. */
  public static final int NO_VM = 0;

  private static final FrameRole[] ROLES = FrameRole.values();
  private static final TransitionReason[] REASONS = TransitionReason.values();

  private final LongSupplier clock;
  private final int[] owner;
  private final byte[] role;
  private final int[] referenceCount;
  private final byte[] reason;
  private final long[] timeNanos;
  private final long[] totals = new long[ROLES.length];

  /** By VM number, then role; grown as numbers are given. */
  private long[][] totalsByVm = new long[0][];

  Ledger(int frameCount, LongSupplier clock) {
    this.clock = clock;
    owner = new int[frameCount];
    role = new byte[frameCount];
    referenceCount = new int[frameCount];
    reason = new byte[frameCount];
    timeNanos = new long[frameCount];
    totals[FrameRole.FREE.ordinal()] = frameCount;
  }

  /** Records that the free frames {@code [hfn, hfn + count)} now belong to a VM. */
  synchronized void assign(int hfn, int count, int vmId, FrameRole to, TransitionReason why) {
    long now = clock.getAsLong();
    for (int frame = hfn; frame < hfn + count; frame++) {
      require(frame, role[frame] == FrameRole.FREE.ordinal(), "assigned a frame in use");
      move(frame, vmId, to);
      referenceCount[frame] = 1;
      stamp(frame, why, now);
    }
  }

  /** Records one more user of a frame. */
  synchronized void retain(int hfn) {
    require(hfn, referenceCount[hfn] > 0, "retained a free frame");
    referenceCount[hfn]++;
  }

  /**
   * Records that {@code vmId} gives up one reference; {@code true} when it was the last and the
   * frame is free.
   */
  synchronized boolean release(int hfn, int vmId, TransitionReason why) {
    require(hfn, referenceCount[hfn] > 0, "released a free frame");
    require(hfn, owner[hfn] == vmId, "released a frame of another owner");
    if (--referenceCount[hfn] > 0) {
      return false;
    }
    move(hfn, NO_VM, FrameRole.FREE);
    stamp(hfn, why, clock.getAsLong());
    return true;
  }

  /** Records that {@code vmId} gives up one reference, unless it is the last; whether it did. */
  synchronized boolean releaseUnlessLast(int hfn, int vmId) {
    require(hfn, referenceCount[hfn] > 0, "released a free frame");
    require(hfn, owner[hfn] == vmId, "released a frame of another owner");
    if (referenceCount[hfn] == 1) {
      return false;
    }
    referenceCount[hfn]--;
    return true;
  }

  /** Records that a frame with one user changes owner and role, its contents staying. */
  synchronized void transfer(
      int hfn, int fromVmId, int toVmId, FrameRole to, TransitionReason why) {
    require(hfn, referenceCount[hfn] == 1, "transferred a frame with other users");
    require(hfn, owner[hfn] == fromVmId, "transferred a frame of another owner");
    move(hfn, toVmId, to);
    stamp(hfn, why, clock.getAsLong());
  }

  /** How many guest frames or tables stand on a frame. */
  public synchronized int referenceCount(long hfn) {
    return referenceCount[(int) hfn];
  }

  /** Whether nobody owns a frame. */
  synchronized boolean isFree(int hfn) {
    return role[hfn] == FrameRole.FREE.ordinal();
  }

  /**
   * Counts the frames of {@code [hfn, hfn + count)} that are in use.
   *
   * @return -1 if one of them cannot be moved: only a page of a {@code movable} VM can
   */
  synchronized int movableFrames(int hfn, int count, IntPredicate movable) {
    int used = 0;
    int lastVm = NO_VM;
    for (int frame = hfn; frame < hfn + count; frame++) {
      if (role[frame] == FrameRole.FREE.ordinal()) {
        continue;
      }
      boolean known = owner[frame] == lastVm && lastVm != NO_VM;
      if (role[frame] != FrameRole.GUEST_PAGE.ordinal() || !known && !movable.test(owner[frame])) {
        return -1;
      }
      lastVm = owner[frame];
      used++;
    }
    return used;
  }

  /** Nanoseconds since the machine was made. */
  public long nowNanos() {
    return clock.getAsLong();
  }

  private void move(int hfn, int vmId, FrameRole to) {
    totals[role[hfn]]--;
    totals[to.ordinal()]++;
    if (owner[hfn] != NO_VM) {
      counts(owner[hfn])[role[hfn]]--;
    }
    if (vmId != NO_VM) {
      counts(vmId)[to.ordinal()]++;
    }
    owner[hfn] = vmId;
    role[hfn] = (byte) to.ordinal();
  }

  private void stamp(int hfn, TransitionReason why, long now) {
    reason[hfn] = (byte) why.ordinal();
    timeNanos[hfn] = now;
  }

  private long[] counts(int vmId) {
    if (vmId >= totalsByVm.length) {
      int known = totalsByVm.length;
      totalsByVm = Arrays.copyOf(totalsByVm, Math.max(2 * known, vmId + 1));
      for (int id = known; id < totalsByVm.length; id++) {
        totalsByVm[id] = new long[ROLES.length];
      }
    }
    return totalsByVm[vmId];
  }

  private void require(int hfn, boolean holds, String violation) {
    if (!holds) {
      throw new IllegalStateException(violation + ": " + describe(hfn));
    }
  }

  /** What is known of one frame. */
  public synchronized FrameRecord describe(long hfn) {
    int frame = (int) hfn;
    return new FrameRecord(
        hfn,
        owner[frame],
        ROLES[role[frame]],
        referenceCount[frame],
        REASONS[reason[frame]],
        timeNanos[frame]);
  }

  /** The VM that owns a frame, or {@link #NO_VM}. */
  public synchronized int owner(long hfn) {
    return owner[(int) hfn];
  }

  /** Frames of the whole machine by role. */
  public synchronized FrameCounts totals() {
    return new FrameCounts(totals);
  }

  /** Frames of one VM by role. */
  public synchronized FrameCounts usage(int vmId) {
    return new FrameCounts(counts(vmId));
  }

  /** Bytes of the Java heap that the ledger takes. */
  public long heapBytes() {
    return (long) owner.length * (2 * Integer.BYTES + Long.BYTES + 2);
  }

  /** Number of frames of the machine. */
  public long frameCount() {
    return owner.length;
  }

  /**
   * Recounts every frame and compares with the running sums.
   *
   * @throws IllegalStateException with both numbers, if they disagree or a frame's columns
   *     contradict one another
   */
  public synchronized void audit() {
    long[] roles = new long[ROLES.length];
    long[][] byVm = new long[totalsByVm.length][ROLES.length];
    for (int frame = 0; frame < owner.length; frame++) {
      boolean free = role[frame] == FrameRole.FREE.ordinal();
      require(frame, free == (referenceCount[frame] == 0), "role and reference count disagree");
      require(frame, !free || owner[frame] == NO_VM, "a free frame has an owner");
      roles[role[frame]]++;
      if (owner[frame] != NO_VM) {
        byVm[owner[frame]][role[frame]]++;
      }
    }
    compare("machine", totals, roles);
    for (int vmId = 0; vmId < byVm.length; vmId++) {
      compare("vm " + vmId, totalsByVm[vmId], byVm[vmId]);
    }
    long sum = Arrays.stream(totals).sum();
    if (sum != owner.length) {
      throw new IllegalStateException(
          "ledger of the machine: frames=%d sumOfRoles=%d".formatted(owner.length, sum));
    }
  }

  private static void compare(String whose, long[] kept, long[] counted) {
    if (!Arrays.equals(kept, counted)) {
      throw new IllegalStateException(
          "ledger of %s: kept {%s}, counted {%s}"
              .formatted(whose, new FrameCounts(kept), new FrameCounts(counted)));
    }
  }
}
