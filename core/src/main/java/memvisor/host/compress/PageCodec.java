package memvisor.host.compress;

import java.lang.foreign.Arena;
import memvisor.memory.Hva;

/**
 * Compresses pages into its own buffer and back from wherever the bytes lie.
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

  /** Where {@link #compress} leaves its result. */
  public long bufferHva() {
    return buffer;
  }

  /** Compresses the page at {@code hva} into the buffer; its length, or 0 if it does not pay. */
  public int compress(long hva) {
    return lz4.compress(hva, PAGE_BYTES, buffer, MAXIMUM_BYTES);
  }

  /** Restores a page; false if the bytes are damaged, whatever the target then holds. */
  public boolean decompress(long hva, int lengthBytes, int checksum, long targetHva) {
    return lz4.decompress(hva, lengthBytes, targetHva, PAGE_BYTES)
        && Hva.crc32c(targetHva, PAGE_BYTES) == checksum;
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
