package memvisor.host.frames;

import java.util.Arrays;
import java.util.BitSet;
import memvisor.host.HostMemory;

/**
 * Which frames are free, as blocks of 2^order frames aligned to their size (Knuth, TAOCP 1, 2.5).
 *
 * <p>Order 0 is 4 KiB, 9 is 2 MiB, 18 is 1 GiB. Frames are numbered from 0. A range may be given
 * back in other pieces than it was taken in. Not thread-safe: {@link HostMemory} serialises.
 */
final class BuddyAllocator {
  /** The largest block: 1 GiB. */
  static final int MAX_ORDER = 18;

  private static final int NONE = -1;

  private final int frameCount;
  // Order of the free block that starts at a frame, or NONE.
  private final byte[] blockOrder;
  // The doubly linked list of free blocks of each order, threaded through their first frames.
  private final int[] next;
  private final int[] previous;
  private final int[] head = new int[MAX_ORDER + 1];
  private final long[] blocks = new long[MAX_ORDER + 1];
  // What the blocks say, by frame: whether one is free is asked far oftener than in which block.
  private final BitSet free;
  private long freeFrames;

  BuddyAllocator(int frameCount) {
    this.frameCount = frameCount;
    blockOrder = new byte[frameCount];
    next = new int[frameCount];
    previous = new int[frameCount];
    Arrays.fill(blockOrder, (byte) NONE);
    Arrays.fill(head, NONE);
    free = new BitSet(frameCount);
    free(0, frameCount);
  }

  long freeFrames() {
    return freeFrames;
  }

  /** Takes a block of 2^order frames; its first frame, or -1 if no such block is left. */
  int allocate(int order) {
    for (int have = order; have <= MAX_ORDER; have++) {
      int block = head[have];
      if (block != NONE) {
        unlink(block);
        for (int half = have - 1; half >= order; half--) {
          link(block + (1 << half), half);
        }
        free.clear(block, block + (1 << order));
        return block;
      }
    }
    return NONE;
  }

  /** Takes exactly the frames {@code [first, first + count)}, all of which must be free. */
  void claim(int first, int count) {
    int end = first + count;
    for (int frame = first; frame < end; ) {
      int block = freeBlockOf(frame);
      if (block == NONE) {
        throw new IllegalStateException(
            "claimed a frame that is not free: hfn=0x%x".formatted(frame));
      }
      int blockEnd = block + (1 << blockOrder[block]);
      unlink(block);
      linkRange(block, Math.max(block, first));
      linkRange(Math.min(blockEnd, end), blockEnd);
      frame = blockEnd;
    }
    free.clear(first, end);
  }

  /** Gives back {@code [first, first + count)}; neighbours coalesce. */
  void free(int first, int count) {
    int end = first + count;
    // Single frames are given back far oftener than ranges, and the next free one may be far away.
    int twice = free.get(first) || count == 1 ? first : free.nextSetBit(first);
    if (twice >= 0 && twice < end && free.get(twice)) {
      throw new IllegalStateException("freed a free frame: hfn=0x%x".formatted(twice));
    }
    free.set(first, end);
    for (int frame = first; frame < end; ) {
      int order = Math.min(alignmentOrder(frame), log2(end - frame));
      freeBlock(frame, order);
      frame += 1 << order;
    }
  }

  private void freeBlock(int frame, int order) {
    int block = frame;
    int size = order;
    while (size < MAX_ORDER) {
      int buddy = block ^ (1 << size);
      if (buddy >= frameCount || blockOrder[buddy] != size) {
        break;
      }
      unlink(buddy);
      block = Math.min(block, buddy);
      size++;
    }
    link(block, size);
  }

  /** The first frame of the free block that holds {@code frame}, or -1 if the frame is in use. */
  int freeBlockOf(int frame) {
    if (!isFree(frame)) {
      return NONE;
    }
    for (int order = 0; order <= MAX_ORDER; order++) {
      int block = frame & -(1 << order);
      if (blockOrder[block] >= order) {
        return block;
      }
    }
    return NONE;
  }

  boolean isFree(int frame) {
    return free.get(frame);
  }

  /** Number of free blocks of 2^order frames. */
  long blocks(int order) {
    return blocks[order];
  }

  /** The order of the smallest free block, or -1 if nothing is free. */
  int smallestOrder() {
    for (int order = 0; order <= MAX_ORDER; order++) {
      if (head[order] != NONE) {
        return order;
      }
    }
    return NONE;
  }

  /**
   * Finds, without taking them, {@code count} neighbouring free frames from a multiple of {@code
   * alignment} on; the first of them, or -1.
   */
  int findRun(int count, int alignment) {
    long start = 0;
    while (start + count <= frameCount) {
      long end = free.nextClearBit((int) start);
      if (end - start >= count) {
        return (int) start;
      }
      // The frame at `end` is in use: the next candidate lies behind it.
      start = (end + alignment) / alignment * alignment;
    }
    return NONE;
  }

  // Links [first, end), a part of one block that was free, as aligned blocks without coalescing.
  private void linkRange(int first, int end) {
    for (int frame = first; frame < end; ) {
      int order = Math.min(alignmentOrder(frame), log2(end - frame));
      link(frame, order);
      frame += 1 << order;
    }
  }

  private void link(int block, int order) {
    blockOrder[block] = (byte) order;
    previous[block] = NONE;
    next[block] = head[order];
    if (head[order] != NONE) {
      previous[head[order]] = block;
    }
    head[order] = block;
    blocks[order]++;
    freeFrames += 1L << order;
  }

  private void unlink(int block) {
    int order = blockOrder[block];
    if (previous[block] == NONE) {
      head[order] = next[block];
    } else {
      next[previous[block]] = next[block];
    }
    if (next[block] != NONE) {
      previous[next[block]] = previous[block];
    }
    blockOrder[block] = NONE;
    blocks[order]--;
    freeFrames -= 1L << order;
  }

  private static int alignmentOrder(int frame) {
    return Math.min(MAX_ORDER, Integer.numberOfTrailingZeros(frame));
  }

  private static int log2(int count) {
    return 31 - Integer.numberOfLeadingZeros(count);
  }
}
