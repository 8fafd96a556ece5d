package memvisor.host.compress;

import java.util.HashMap;
import java.util.Map;
import memvisor.host.dedup.StableTable;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * Compressed pages in frames of machine memory, each frame cut into 64 chunks of 64 bytes.
 *
 * <p>A page takes neighbouring chunks of one frame: best fit by the longest free run of each frame.
 * Lengths and checksums are kept apart from the bytes, so that damage to the bytes cannot damage
 * the allocator. A handle is HPA of the frame plus 64 times the chunk.
 *
 * <p>Equal pages are kept once per {@link Domain}: the codec makes equal bytes of equal pages, so
 * what is compared is what is stored. Thread-safe.
 */
public final class CompressedPool {
  /** No handle: the page was not taken in. */
  public static final long REFUSED = -1;

  private static final int CHUNKS = 64;
  private static final int CHUNK_LOG2 = 6;
  private static final long FRAME_MASK = -4096L;

  /** Most pages of one checksum that a page is compared with: a guest may make many. */
  private static final int COMPARISONS = 16;

  /** VMs that trust each other: what one has compressed need not be stored again for another. */
  public static final class Domain {
    private final StableTable copies = new StableTable();

    private Domain() {}
  }

  /** One frame of the pool, listed under its longest free run. */
  private static final class Frame {
    final long hpa;
    long used;
    final short[] length = new short[CHUNKS];
    final int[] checksum = new int[CHUNKS];
    final short[] users = new short[CHUNKS];
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
  private final Map<String, Domain> domains = new HashMap<>();
  private long pages;
  private long sharing;
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
        pages, sharing, frames.size(), bytes, stored, incompressible, refusedFull);
  }

  /** Whether it takes no more frames. */
  public synchronized boolean isFull() {
    return frames.size() >= limitFrames;
  }

  /** Records a page that would not compress. */
  public synchronized void countIncompressible() {
    incompressible++;
  }

  /** The VMs that share what they have compressed, by name. */
  public synchronized Domain domain(String name) {
    return domains.computeIfAbsent(name, n -> new Domain());
  }

  /** Forgets a domain whose only VM has given all its pages back. */
  public synchronized void forget(String name) {
    Domain gone = domains.remove(name);
    if (gone != null && gone.copies.size() > 0) {
      throw new IllegalStateException(
          "trust domain '%s' still has compressed pages: count=%d"
              .formatted(name, gone.copies.size()));
    }
  }

  /**
   * Takes in a compressed page, or lets it stand on an equal one.
   *
   * @param domain among whose pages an equal one may be
   * @param checksum CRC-32C of the page before it was compressed
   * @return its handle, or {@link #REFUSED} if there is no room
   */
  public synchronized long store(Domain domain, long hva, int lengthBytes, int checksum) {
    long hash = hash(lengthBytes, checksum);
    long copy = findCopy(domain, hash, hva, lengthBytes);
    if (copy != REFUSED) {
      frame(copy).users[chunk(copy)]++;
      sharing++;
    } else {
      copy = storeNew(hva, lengthBytes, checksum);
      if (copy == REFUSED) {
        refusedFull++;
        return REFUSED;
      }
      domain.copies.add(hash, copy);
    }
    pages++;
    stored++;
    return copy;
  }

  private static long hash(int lengthBytes, int checksum) {
    return (long) lengthBytes << 32 | checksum & 0xFFFF_FFFFL;
  }

  private long findCopy(Domain domain, long hash, long hva, int lengthBytes) {
    StableTable copies = domain.copies;
    int at = copies.first(hash);
    for (int compared = 0; at >= 0 && compared < COMPARISONS; compared++) {
      long handle = copies.hpa(at);
      if (frame(handle).users[chunk(handle)] < Short.MAX_VALUE
          && Hva.isEqual(machine.hva(handle), hva, lengthBytes)) {
        return handle;
      }
      at = copies.next(hash, at);
    }
    return REFUSED;
  }

  private long storeNew(long hva, int lengthBytes, int checksum) {
    int chunks = chunks(lengthBytes);
    Frame frame = bestFit(chunks);
    if (frame == null) {
      return REFUSED;
    }
    int chunk = findRun(frame.used, chunks);
    frame.used |= mask(chunk, chunks);
    frame.length[chunk] = (short) lengthBytes;
    frame.checksum[chunk] = checksum;
    frame.users[chunk] = 1;
    relist(frame);
    long handle = frame.hpa + ((long) chunk << CHUNK_LOG2);
    Hva.copy(hva, machine.hva(handle), lengthBytes);
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
    // Whoever loads it is one of its users, so its bytes stay where they are.
    return codec.decompress(machine.hva(handle), length, checksum, targetHva);
  }

  /** Bytes that a page takes in the pool: where n pages stand on one, an n-th of them. */
  public synchronized double partBytes(long handle) {
    Frame frame = frame(handle);
    return (double) frame.length[chunk(handle)] / frame.users[chunk(handle)];
  }

  /** Forgets a page that {@link #store} took in for a domain; an empty frame is given back. */
  public synchronized void free(Domain domain, long handle) {
    Frame frame = frame(handle);
    int chunk = chunk(handle);
    pages--;
    if (frame.users[chunk] > 1) {
      frame.users[chunk]--;
      sharing--;
      return;
    }
    int length = frame.length[chunk];
    domain.copies.remove(hash(length, frame.checksum[chunk]), handle);
    frame.users[chunk] = 0;
    frame.used &= ~mask(chunk, chunks(length));
    frame.length[chunk] = 0;
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
    long countedSharing = 0;
    long countedBytes = 0;
    for (Frame frame : frames.values()) {
      long used = 0;
      for (int chunk = 0; chunk < CHUNKS; chunk++) {
        if (frame.length[chunk] != 0) {
          countedPages += frame.users[chunk];
          countedSharing += frame.users[chunk] - 1;
          countedBytes += frame.length[chunk];
          used |= mask(chunk, chunks(frame.length[chunk]));
        }
      }
      if (used != frame.used) {
        throw new IllegalStateException(
            "chunks disagree in pool frame hpa=0x%x".formatted(frame.hpa));
      }
    }
    if (countedPages != pages || countedSharing != sharing || countedBytes != bytes) {
      throw new IllegalStateException(
          "compressed pool: pages=%d counted=%d sharing=%d counted=%d bytes=%d counted=%d"
              .formatted(pages, countedPages, sharing, countedSharing, bytes, countedBytes));
    }
  }
}
