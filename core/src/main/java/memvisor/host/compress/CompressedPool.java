package memvisor.host.compress;

import java.util.HashMap;
import java.util.Map;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * Compressed pages in frames of machine memory, each frame cut into 64 chunks of 64 bytes.
 *
 * <p>A page takes neighbouring chunks of one frame: best fit by the longest free run of each frame.
 * Lengths and checksums are kept apart from the bytes, so that damage to the bytes cannot damage
 * the allocator. A handle is HPA of the frame plus 64 times the chunk. Thread-safe.
 */
public final class CompressedPool {
  /** No handle: the page was not taken in. */
  public static final long REFUSED = -1;

  private static final int CHUNKS = 64;
  private static final int CHUNK_LOG2 = 6;
  private static final long FRAME_MASK = -4096L;

  /** One frame of the pool, listed under its longest free run. */
  private static final class Frame {
    final long hpa;
    long used;
    final short[] length = new short[CHUNKS];
    final int[] checksum = new int[CHUNKS];
    int longestRun;
    @Nullable Frame next;
    @Nullable Frame previous;

    Frame(long hpa) {
      this.hpa = hpa;
    }
  }

  private final MachineMemory machine;
  private final PoolFrames source;
  private final long limitFrames;
  private final Map<Long, Frame> frames = new HashMap<>();
  private final @Nullable Frame[] byRun = new Frame[CHUNKS + 1];
  private long pages;
  private long bytes;
  private long stored;
  private long incompressible;
  private long refusedFull;

  /** An empty pool of at most {@code limitFrames} frames. */
  public CompressedPool(MachineMemory machine, PoolFrames source, long limitFrames) {
    this.machine = machine;
    this.source = source;
    this.limitFrames = limitFrames;
  }

  /** What it holds and did. */
  public synchronized CompressionCounters counters() {
    return new CompressionCounters(
        pages, frames.size(), bytes, stored, incompressible, refusedFull);
  }

  /** Whether it takes no more frames. */
  public synchronized boolean isFull() {
    return frames.size() >= limitFrames;
  }

  /** Records a page that would not compress. */
  public synchronized void countIncompressible() {
    incompressible++;
  }

  /**
   * Takes in a compressed page.
   *
   * @param checksum CRC-32C of the page before it was compressed
   * @return its handle, or {@link #REFUSED} if there is no room
   */
  public synchronized long store(long hva, int lengthBytes, int checksum) {
    int chunks = chunks(lengthBytes);
    Frame frame = bestFit(chunks);
    if (frame == null) {
      refusedFull++;
      return REFUSED;
    }
    int chunk = findRun(frame.used, chunks);
    frame.used |= mask(chunk, chunks);
    frame.length[chunk] = (short) lengthBytes;
    frame.checksum[chunk] = checksum;
    relist(frame);
    long handle = frame.hpa + ((long) chunk << CHUNK_LOG2);
    Hva.copy(hva, machine.hva(handle), lengthBytes);
    pages++;
    stored++;
    bytes += lengthBytes;
    return handle;
  }

  private @Nullable Frame bestFit(int chunks) {
    for (int run = chunks; run <= CHUNKS; run++) {
      Frame frame = byRun[run];
      if (frame != null) {
        return frame;
      }
    }
    long hpa = frames.size() < limitFrames ? source.take() : -1;
    if (hpa < 0) {
      return null;
    }
    Frame frame = new Frame(hpa);
    frames.put(hpa, frame);
    frame.longestRun = CHUNKS;
    list(frame);
    return frame;
  }

  /**
   * Restores a page; the pool keeps it until {@link #free}.
   *
   * @return false if what the pool holds is damaged
   */
  public boolean load(long handle, PageCodec codec, long targetHva) {
    int length;
    int checksum;
    synchronized (this) {
      Frame frame = frame(handle);
      length = frame.length[chunk(handle)];
      checksum = frame.checksum[chunk(handle)];
    }
    // Only the page's owner frees it, so its bytes stay where they are.
    return codec.decompress(machine.hva(handle), length, checksum, targetHva);
  }

  /** Bytes that a page takes in the pool. */
  public synchronized int lengthBytes(long handle) {
    return frame(handle).length[chunk(handle)];
  }

  /** Forgets a page; a frame that holds no other is given back. */
  public synchronized void free(long handle) {
    Frame frame = frame(handle);
    int chunk = chunk(handle);
    int length = frame.length[chunk];
    frame.used &= ~mask(chunk, chunks(length));
    frame.length[chunk] = 0;
    pages--;
    bytes -= length;
    if (frame.used == 0) {
      unlist(frame);
      frames.remove(frame.hpa);
      source.give(frame.hpa);
    } else {
      relist(frame);
    }
  }

  private Frame frame(long handle) {
    Frame frame = frames.get(handle & FRAME_MASK);
    if (frame == null || frame.length[chunk(handle)] == 0) {
      throw new IllegalStateException("no compressed page: handle=0x%x".formatted(handle));
    }
    return frame;
  }

  private static int chunk(long handle) {
    return (int) (handle & ~FRAME_MASK) >>> CHUNK_LOG2;
  }

  private static int chunks(int lengthBytes) {
    return lengthBytes + (1 << CHUNK_LOG2) - 1 >>> CHUNK_LOG2;
  }

  private static long mask(int chunk, int chunks) {
    return -1L >>> CHUNKS - chunks << chunk;
  }

  /** First chunk of the first free run of that length, which must exist. */
  private static int findRun(long used, int chunks) {
    return Long.numberOfTrailingZeros(runStarts(~used, chunks));
  }

  /** Bits at which {@code chunks} free ones begin. */
  private static long runStarts(long free, int chunks) {
    long starts = free;
    for (int have = 1; have < chunks; ) {
      int step = Math.min(have, chunks - have);
      starts &= starts >>> step;
      have += step;
    }
    return starts;
  }

  private static int longestRun(long free) {
    int length = 0;
    for (long rest = free; rest != 0; rest &= rest >>> 1) {
      length++;
    }
    return length;
  }

  private void relist(Frame frame) {
    unlist(frame);
    frame.longestRun = longestRun(~frame.used);
    list(frame);
  }

  private void list(Frame frame) {
    Frame first = byRun[frame.longestRun];
    frame.previous = null;
    frame.next = first;
    if (first != null) {
      first.previous = frame;
    }
    byRun[frame.longestRun] = frame;
  }

  private void unlist(Frame frame) {
    Frame next = frame.next;
    Frame previous = frame.previous;
    if (previous == null) {
      byRun[frame.longestRun] = next;
    } else {
      previous.next = next;
    }
    if (next != null) {
      next.previous = previous;
    }
  }

  /**
   * Recounts.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public synchronized void audit() {
    long countedPages = 0;
    long countedBytes = 0;
    for (Frame frame : frames.values()) {
      long used = 0;
      for (int chunk = 0; chunk < CHUNKS; chunk++) {
        if (frame.length[chunk] != 0) {
          countedPages++;
          countedBytes += frame.length[chunk];
          used |= mask(chunk, chunks(frame.length[chunk]));
        }
      }
      if (used != frame.used) {
        throw new IllegalStateException(
            "chunks disagree in pool frame hpa=0x%x".formatted(frame.hpa));
      }
    }
    if (countedPages != pages || countedBytes != bytes) {
      throw new IllegalStateException(
          "compressed pool: pages=%d counted=%d bytes=%d counted=%d"
              .formatted(pages, countedPages, bytes, countedBytes));
    }
  }
}
