package memvisor.host.frames;

import java.util.BitSet;
import java.util.function.IntPredicate;
import memvisor.host.HostMemory;

/**
 * Makes free blocks of 2 MiB: sets apart the free frames of blocks that are in little use, so that
 * nobody takes them, and waits until the VMs have moved their pages out of the rest.
 *
 * <p>A VM moves only its own pages, when it next stands still. Frames set apart are free in the
 * ledger and unknown to the allocator. Not thread-safe: {@link HostMemory} serialises.
 */
final class Compaction {
  static final int ORDER = 9;
  private static final int BLOCK = 1 << ORDER;

  /** Most pages that are worth moving for one block: more would be cheaper to find elsewhere. */
  private static final int MOST_MOVES = BLOCK * 3 / 4;

  /** Time that VMs have to reach a block boundary, in nanoseconds; an idle one is woken for it. */
  private static final long PATIENCE_NANOS = 1_000_000_000L;

  private final BuddyAllocator frames;
  private final Ledger ledger;
  private final BitSet emptying = new BitSet();
  private final int[] apart;
  private long framesApart;
  private long deadlineNanos;
  private int rounds;
  private long started;
  private long emptied;
  private long abandoned;
  private long moved;

  Compaction(BuddyAllocator frames, Ledger ledger) {
    this.frames = frames;
    this.ledger = ledger;
    apart = new int[(int) (ledger.frameCount() >>> ORDER)];
  }

  CompactionCounters counters() {
    return new CompactionCounters(started, emptied, abandoned, moved);
  }

  /** Frames that are free but not for the taking. */
  long framesApart() {
    return framesApart;
  }

  /** Grows whenever there is something new for VMs to move. */
  int rounds() {
    return rounds;
  }

  /** The blocks whose pages have to go, by number. */
  BitSet emptying() {
    return (BitSet) emptying.clone();
  }

  void countMoved(long pages) {
    moved += pages;
  }

  /**
   * Chooses the block that costs the fewest moves, unless one is being emptied.
   *
   * @param movable which VMs can move their pages
   * @param reserve free frames that must be left
   * @return whether VMs now have pages to move
   */
  boolean start(IntPredicate movable, long reserve) {
    if (!emptying.isEmpty()) {
      if (ledger.nowNanos() < deadlineNanos) {
        return true;
      }
      abandon();
    }
    int best = -1;
    int fewest = MOST_MOVES + 1;
    for (int block = 0; block < apart.length; block++) {
      int used = ledger.movableFrames(block << ORDER, BLOCK, movable);
      // What is not used is set apart, and what is used needs a place elsewhere.
      if (used > 0 && used < fewest && frames.freeFrames() >= BLOCK + reserve) {
        best = block;
        fewest = used;
      }
    }
    if (best < 0) {
      return false;
    }
    setApart(best);
    deadlineNanos = ledger.nowNanos() + PATIENCE_NANOS;
    rounds++;
    started++;
    return true;
  }

  private void setApart(int block) {
    emptying.set(block);
    int end = block + 1 << ORDER;
    for (int frame = block << ORDER; frame < end; frame++) {
      if (frames.isFree(frame)) {
        frames.claim(frame, 1);
        apart[block]++;
        framesApart++;
      }
    }
  }

  /** Takes a frame that became free, if its block is being emptied. */
  boolean keeps(int frame) {
    int block = frame >>> ORDER;
    if (!emptying.get(block)) {
      return false;
    }
    apart[block]++;
    framesApart++;
    if (apart[block] == BLOCK) {
      emptied++;
      release(block);
    }
    return true;
  }

  /** Gives up what is being emptied; whether there was anything. */
  boolean abandon() {
    boolean any = !emptying.isEmpty();
    for (int block = emptying.nextSetBit(0); block >= 0; block = emptying.nextSetBit(block + 1)) {
      abandoned++;
      release(block);
    }
    return any;
  }

  /** Gives what was set apart in a block back to the allocator. */
  private void release(int block) {
    emptying.clear(block);
    framesApart -= apart[block];
    apart[block] = 0;
    int end = block + 1 << ORDER;
    for (int frame = block << ORDER; frame < end; frame++) {
      if (ledger.isFree(frame)) {
        frames.free(frame, 1);
      }
    }
  }
}
