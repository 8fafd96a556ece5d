package memvisor.cpu.x86;

import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * Decoded blocks by host physical address and mode, and which bytes of which frames they came from.
 *
 * <p>Keyed by physical address because kernels patch code through one mapping and run it through
 * another. Every write to a frame that {@link #hasCode} must be reported by {@link #written}.
 */
final class CodeCache {
  private static final int CHUNK_LOG2 = 10;
  private static final int FRAMES_PER_CHUNK = 1 << CHUNK_LOG2;

  /** A frame is watched in 64 granules of 64 bytes, one bit of a long each. */
  private static final int GRANULE_LOG2 = 6;

  private static final int GRANULES = 64;
  private static final int PAGE = 4096;

  /** Four times what a boot of Linux decodes. An operation is allowed 64 bytes of heap. */
  static final long DEFAULT_OPERATIONS = 2_000_000;

  /** The blocks of one frame. */
  private static final class Frame {
    /** Granules that hold a byte of a block. */
    long granules;

    final @Nullable Block[] starting = new @Nullable Block[GRANULES];
    @Nullable Block crossingInto;
  }

  private final @Nullable Frame[][] chunks;
  private long blocks;

  /** Operations of the blocks held now, and how many may be held before all are dropped. */
  private long operations;

  private long maxOperations = DEFAULT_OPERATIONS;
  private long flushes;

  CodeCache(MachineMemory machine) {
    int frames = Math.toIntExact(machine.sizeBytes() >>> 12);
    chunks = new @Nullable Frame[(frames >>> CHUNK_LOG2) + 1][];
  }

  /** Blocks held now. */
  long blocks() {
    return blocks;
  }

  /** Blocks that end in the frame around {@code hpa}, having started in another. */
  int crossingBlocks(long hpa) {
    int count = 0;
    Frame frame = frame(hpa);
    for (Block b = frame == null ? null : frame.crossingInto; b != null; b = b.nextCrossing) {
      count++;
    }
    return count;
  }

  void setMaxOperations(long limit) {
    maxOperations = limit;
  }

  /** How often all blocks were dropped because there were too many. */
  long flushes() {
    return flushes;
  }

  /**
   * Drops all blocks if there are more than allowed; true if so. Only where no block is running.
   * All at once, because what is needed is decoded, or found in the library, again soon.
   */
  boolean flushIfFull() {
    if (operations <= maxOperations) {
      return false;
    }
    for (int chunk = 0; chunk < chunks.length; chunk++) {
      if (chunks[chunk] != null) {
        written((long) chunk << 12 + CHUNK_LOG2, (long) PAGE << CHUNK_LOG2);
        chunks[chunk] = null;
      }
    }
    flushes++;
    return true;
  }

  /** Whether any byte of the frame around {@code hpa} is decoded. */
  boolean hasCode(long hpa) {
    Frame frame = frame(hpa);
    return frame != null && frame.granules != 0;
  }

  /** The block that starts at {@code hpa} in {@code mode}. */
  @Nullable Block find(long hpa, int mode) {
    Frame frame = frame(hpa);
    if (frame == null) {
      return null;
    }
    Block block = frame.starting[granule(hpa)];
    while (block != null && (block.hpa != hpa || block.mode != mode)) {
      block = block.nextInGranule;
    }
    return block;
  }

  /** The block of any mode that begins an instruction at {@code hpa}; translated ones first. */
  @Nullable Block covering(long hpa) {
    Frame frame = frame(hpa);
    Block found = null;
    if (frame != null) {
      int first = Math.max(0, ((int) hpa & PAGE - 1) - Block.MAX_BYTES) >>> GRANULE_LOG2;
      for (int granule = granule(hpa); granule >= first; granule--) {
        for (Block b = frame.starting[granule]; b != null; b = b.nextInGranule) {
          if (b.beginsInstruction(hpa) && (found == null || b.isShownRatherThan(found, hpa))) {
            found = b;
          }
        }
      }
    }
    return found;
  }

  /** Adds a block; true if one of its frames held no code before, so may still be write-cached. */
  boolean insert(Block block) {
    boolean fresh = !hasCode(block.hpa);
    Frame frame = frameForInsert(block.hpa);
    int granule = granule(block.hpa);
    block.nextInGranule = frame.starting[granule];
    frame.starting[granule] = block;
    if (block.crossesPage()) {
      fresh |= !hasCode(block.secondHpa);
      Frame second = frameForInsert(block.secondHpa);
      block.nextCrossing = second.crossingInto;
      second.crossingInto = block;
      second.granules |= 1;
    }
    frame.granules |= covered(block);
    blocks++;
    operations += block.ops.length;
    return fresh;
  }

  /** The caller sweeps the frame that it was found in. */
  private void drop(Block block) {
    block.drop();
    blocks--;
    operations -= block.ops.length;
  }

  private void sweepAt(long hpa) {
    Frame frame = frame(hpa);
    if (frame != null) {
      sweep(frame);
    }
  }

  /** Drops exactly the blocks that overlap {@code [hpa, hpa + lengthBytes)}. */
  void written(long hpa, long lengthBytes) {
    long end = hpa + lengthBytes;
    for (long page = hpa & -PAGE; page < end; page += PAGE) {
      Frame frame = frame(page);
      if (frame != null && frame.granules != 0) {
        int from = (int) (Math.max(hpa, page) - page);
        int to = (int) (Math.min(end, page + PAGE) - page);
        writtenInFrame(frame, page, from, to);
      }
    }
  }

  private void writtenInFrame(Frame frame, long page, int from, int to) {
    if ((frame.granules & granules(from, to)) == 0) {
      return;
    }
    int first = Math.max(0, from - Block.MAX_BYTES) >>> GRANULE_LOG2;
    int last = to - 1 >>> GRANULE_LOG2;
    for (int granule = first; granule <= last; granule++) {
      for (Block block = frame.starting[granule]; block != null; block = block.nextInGranule) {
        long start = block.hpa - page;
        if (start < to && start + block.length > from) {
          drop(block);
          if (block.crossesPage()) {
            sweepAt(block.secondHpa);
          }
        }
      }
    }
    if (from < MicroOp.MAX_LENGTH) {
      for (Block block = frame.crossingInto; block != null; block = block.nextCrossing) {
        if (!block.dropped) {
          drop(block);
          sweepAt(block.hpa);
        }
      }
    }
    sweep(frame);
  }

  /** Unlinks dropped blocks and computes the granules anew. */
  private static void sweep(Frame frame) {
    long granules = 0;
    for (int granule = 0; granule < GRANULES; granule++) {
      Block kept = null;
      Block next;
      for (Block block = frame.starting[granule]; block != null; block = next) {
        next = block.nextInGranule;
        if (!block.dropped) {
          block.nextInGranule = kept;
          kept = block;
          granules |= covered(block);
        }
      }
      frame.starting[granule] = kept;
    }
    Block kept = null;
    Block next;
    for (Block block = frame.crossingInto; block != null; block = next) {
      next = block.nextCrossing;
      if (!block.dropped) {
        block.nextCrossing = kept;
        kept = block;
        granules |= 1;
      }
    }
    frame.crossingInto = kept;
    frame.granules = granules;
  }

  private static long covered(Block block) {
    int start = (int) block.hpa & PAGE - 1;
    return granules(start, Math.min(PAGE, start + block.length));
  }

  /** The bits of the granules that {@code [from, to)} touches. */
  private static long granules(int from, int to) {
    int first = from >>> GRANULE_LOG2;
    int last = to - 1 >>> GRANULE_LOG2;
    return -1L << first & -1L >>> 63 - last;
  }

  private static int granule(long hpa) {
    return (int) hpa >>> GRANULE_LOG2 & GRANULES - 1;
  }

  private @Nullable Frame frame(long hpa) {
    @Nullable Frame[] chunk = chunks[(int) (hpa >>> 12 + CHUNK_LOG2)];
    return chunk == null ? null : chunk[(int) (hpa >>> 12) & FRAMES_PER_CHUNK - 1];
  }

  private Frame frameForInsert(long hpa) {
    int index = (int) (hpa >>> 12 + CHUNK_LOG2);
    @Nullable Frame[] chunk = chunks[index];
    if (chunk == null) {
      chunk = new @Nullable Frame[FRAMES_PER_CHUNK];
      chunks[index] = chunk;
    }
    int slot = (int) (hpa >>> 12) & FRAMES_PER_CHUNK - 1;
    Frame frame = chunk[slot];
    if (frame == null) {
      frame = new Frame();
      chunk[slot] = frame;
    }
    return frame;
  }
}
