package memvisor.host.compress;

import java.lang.foreign.Arena;
import memvisor.memory.Hva;

/**
 * Compresses pages into its own buffers and back from wherever the bytes lie: by themselves, or as
 * patches to similar pages.
 *
 * <p>A patch is the difference of each word of eight bytes to the same word of the base,
 * compressed. Where the pages are equal that is zero, and where one guest has moved what both point
 * to, it is the same distance again and again.
 *
 * <p>Not thread-safe.
 */
public final class PageCodec {
  /** Bytes of a page. */
  public static final int PAGE_BYTES = 4096;

  /**
   * The largest result that counts as compressed: three quarters of a page. More than that leaves
   * too little room beside it in a frame to be worth the work.
   */
  public static final int MAXIMUM_BYTES = 3072;

  private final Lz4 lz4 = new Lz4();
  private final Arena arena = Arena.ofAuto();
  private final long buffer = arena.allocate(PAGE_BYTES, 64).address();
  private final long patch = arena.allocate(PAGE_BYTES, 64).address();
  private final long difference = arena.allocate(PAGE_BYTES, 64).address();
  private final long base = arena.allocate(PAGE_BYTES, 64).address();

  /** Where {@link #compress} leaves its result. */
  public long bufferHva() {
    return buffer;
  }

  /** Where {@link #patch} leaves its result. */
  long patchHva() {
    return patch;
  }

  /** Room for a page that others are patches to. */
  long baseHva() {
    return base;
  }

  /** Compresses the page at {@code hva} into the buffer; its length, or 0 if it does not pay. */
  public int compress(long hva) {
    return lz4.compress(hva, PAGE_BYTES, buffer, MAXIMUM_BYTES);
  }

  /** Restores a page; false if the bytes are damaged, whatever the target then holds. */
  public boolean decompress(long hva, int lengthBytes, int checksum, long targetHva) {
    return decompress(hva, lengthBytes, targetHva) && Hva.crc32c(targetHva, PAGE_BYTES) == checksum;
  }

  /** The same, with nothing to prove that it is the page that was compressed. */
  boolean decompress(long hva, int lengthBytes, long targetHva) {
    return lz4.decompress(hva, lengthBytes, targetHva, PAGE_BYTES);
  }

  /**
   * Makes a patch that turns the page at {@code baseHva} into the one at {@code hva}.
   *
   * @return its length, or 0 if it would be more than {@code limit}
   */
  int patch(long hva, long baseHva, int limit) {
    for (int offset = 0; offset < PAGE_BYTES; offset += 8) {
      Hva.writeLong(
          difference + offset, Hva.readLong(hva + offset) - Hva.readLong(baseHva + offset));
    }
    return lz4.compress(difference, PAGE_BYTES, patch, limit);
  }

  /**
   * Restores a page by a patch to the one at {@code baseHva}, with nothing to prove that it is the
   * right one.
   */
  boolean unpatch(long hva, int lengthBytes, long baseHva, long targetHva) {
    if (!decompress(hva, lengthBytes, targetHva)) {
      return false;
    }
    for (int offset = 0; offset < PAGE_BYTES; offset += 8) {
      Hva.writeLong(
          targetHva + offset, Hva.readLong(targetHva + offset) + Hva.readLong(baseHva + offset));
    }
    return true;
  }

  /** Whether the page repeats its first four bytes to its end. */
  public static boolean isSameFilled(long hva) {
    long first = Hva.readLong(hva);
    if ((int) first != (int) (first >>> 32)) {
      return false;
    }
    for (int offset = 8; offset < PAGE_BYTES; offset += 8) {
      if (Hva.readLong(hva + offset) != first) {
        return false;
      }
    }
    return true;
  }
}
