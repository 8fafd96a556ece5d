package memvisor.host.swap;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.BitSet;
import memvisor.memory.Hva;

/**
 * Pages in slots of a file, written in clusters of neighbours and read with a few that follow.
 *
 * <p>A slot's checksum stays in memory: whatever the file gives back, a wrong page is noticed.
 * Thread-safe.
 */
public final class SwapFile implements AutoCloseable {
  /** Bytes of a slot. */
  public static final int SLOT_BYTES = 4096;

  /** Most pages of one write. */
  public static final int CLUSTER = 32;

  /** Pages of one read: the wanted one and those behind it, which were cold together. */
  private static final int READ_AHEAD = 8;

  /** After a device's own retries a third try rarely helps, and a fourth never. */
  private static final int READ_ATTEMPTS = 3;

  private final SwapStorage storage;
  private final int slots;
  private final int[] checksums;
  private final BitSet used;
  private final Arena arena = Arena.ofAuto();
  private final long window = arena.allocate((long) READ_AHEAD * SLOT_BYTES, SLOT_BYTES).address();
  private int windowSlot = -1;
  private int windowSlots;
  private int cursor;
  private long pagesOut;
  private long writes;
  private long pagesIn;
  private long reads;
  private long readAheadHits;
  private long readsRepeated;
  private long failures;
  private String lastFailure = "";

  /** Slots over {@code storage}, which is grown as they are used. */
  public SwapFile(SwapStorage storage, int slots) {
    this.storage = storage;
    this.slots = slots;
    this.checksums = new int[slots];
    this.used = new BitSet(slots);
  }

  /**
   * A new file.
   *
   * @throws IOException if it exists already or cannot be made; the message is for the user
   */
  public static SwapFile create(Path path, long sizeBytes) throws IOException {
    try {
      return new SwapFile(FileStorage.create(path), (int) (sizeBytes / SLOT_BYTES));
    } catch (FileAlreadyExistsException e) {
      throw new IOException(
          "the swap file %s exists already; name one that does not".formatted(path), e);
    } catch (IOException e) {
      throw new IOException(
          "cannot create the swap file %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  /** What it holds and did. */
  public synchronized SwapCounters counters() {
    return new SwapCounters(
        slots,
        used.cardinality(),
        pagesOut,
        writes,
        pagesIn,
        reads,
        readAheadHits,
        readsRepeated,
        failures,
        lastFailure);
  }

  /**
   * Takes a run of neighbouring free slots.
   *
   * @param wanted slots to take, at most {@link #CLUSTER}
   * @param taken the number of slots taken goes into its first element: 1 to {@code wanted}
   * @return the first slot, or -1 if the file is full
   */
  public synchronized int reserve(int wanted, int[] taken) {
    int first = used.nextClearBit(cursor);
    if (first >= slots) {
      first = used.nextClearBit(0);
      if (first >= slots) {
        fail("swap file full: all %d slots are in use".formatted(slots));
        return -1;
      }
    }
    int end = first;
    while (end < slots && end - first < wanted && !used.get(end)) {
      used.set(end++);
    }
    cursor = end;
    taken[0] = end - first;
    return first;
  }

  /**
   * Writes pages that lie one after the other at {@code hva} into reserved slots.
   *
   * @return whether all of them are in the file; else the slots are free again
   */
  public synchronized boolean write(int first, int count, long hva) {
    ByteBuffer bytes = Hva.buffer(hva, count * SLOT_BYTES);
    long position = (long) first * SLOT_BYTES;
    try {
      while (bytes.hasRemaining()) {
        int written = storage.write(bytes, position + bytes.position());
        if (written <= 0) {
          throw new IOException("the file takes no more bytes");
        }
      }
    } catch (IOException e) {
      used.clear(first, first + count);
      fail("writing %d pages to the swap file failed: %s".formatted(count, e.getMessage()));
      return false;
    }
    for (int i = 0; i < count; i++) {
      checksums[first + i] = Hva.crc32c(hva + (long) i * SLOT_BYTES, SLOT_BYTES);
    }
    if (windowSlot >= 0 && first < windowSlot + windowSlots && windowSlot < first + count) {
      windowSlot = -1;
    }
    pagesOut += count;
    writes++;
    return true;
  }

  /**
   * Reads a page into {@code hva}; its slot stays taken until {@link #free}. A read that fails, or
   * gives back something else, is tried again: what went wrong may have been on the way.
   *
   * @throws SwapFailure if it fails or ends early, or its checksum is wrong, each time
   */
  public synchronized void read(int slot, long hva) throws SwapFailure {
    requireUsed(slot);
    boolean ahead = windowSlot >= 0 && slot >= windowSlot && slot < windowSlot + windowSlots;
    for (int attempt = 1; ; attempt++) {
      try {
        readOnce(slot, ahead && attempt == 1, hva);
        return;
      } catch (SwapFailure failure) {
        windowSlot = -1;
        if (attempt == READ_ATTEMPTS) {
          fail(String.valueOf(failure.getMessage()));
          throw failure;
        }
        readsRepeated++;
      }
    }
  }

  private void readOnce(int slot, boolean ahead, long hva) throws SwapFailure {
    if (ahead) {
      readAheadHits++;
    } else {
      fill(slot);
    }
    long at = window + (long) (slot - windowSlot) * SLOT_BYTES;
    int checksum = Hva.crc32c(at, SLOT_BYTES);
    if (checksum != checksums[slot]) {
      throw new SwapFailure(
          "slot %d of the swap file is damaged: checksum 0x%08x, not 0x%08x"
              .formatted(slot, checksum, checksums[slot]));
    }
    Hva.copy(at, hva, SLOT_BYTES);
    pagesIn++;
  }

  private void fill(int slot) throws SwapFailure {
    windowSlot = -1;
    int count = 1;
    while (count < READ_AHEAD && slot + count < slots && used.get(slot + count)) {
      count++;
    }
    ByteBuffer bytes = Hva.buffer(window, count * SLOT_BYTES);
    long position = (long) slot * SLOT_BYTES;
    try {
      int read = 0;
      while (bytes.hasRemaining() && read >= 0) {
        read = storage.read(bytes, position + bytes.position());
      }
    } catch (IOException e) {
      // What lies behind the wanted page may be what cannot be read.
      if (bytes.position() < SLOT_BYTES) {
        throw new SwapFailure(
            "reading slot %d of the swap file failed: %s".formatted(slot, e.getMessage()), e);
      }
    }
    if (bytes.position() < SLOT_BYTES) {
      throw new SwapFailure(
          "the swap file is truncated: slot %d ends after %d bytes"
              .formatted(slot, bytes.position()));
    }
    reads++;
    windowSlot = slot;
    windowSlots = bytes.position() / SLOT_BYTES;
  }

  /** Gives a slot back. */
  public synchronized void free(int slot) {
    requireUsed(slot);
    used.clear(slot);
  }

  private void requireUsed(int slot) {
    if (slot < 0 || slot >= slots || !used.get(slot)) {
      throw new IllegalStateException("swap slot is not in use: slot=" + slot);
    }
  }

  private void fail(String message) {
    failures++;
    lastFailure = message;
  }

  @Override
  public synchronized void close() throws IOException {
    storage.close();
  }
}
