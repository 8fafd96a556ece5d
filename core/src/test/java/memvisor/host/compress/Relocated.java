package memvisor.host.compress;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/** Pages as several guests have them of one kernel: the same but for the addresses in them. */
public final class Relocated {
  private Relocated() {}

  /**
   * A page of code: random bytes that do not compress, and in some places four bytes of address.
   *
   * @param seed which page
   * @param moved by how much the guest's kernel was moved, a multiple of 4 KiB
   */
  public static byte[] code(long seed, int moved) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] page = new byte[PageCodec.PAGE_BYTES];
    random.nextBytes(page);
    ByteBuffer words = ByteBuffer.wrap(page).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = random.nextInt(60); at < page.length - 4; at += 40 + random.nextInt(100)) {
      words.putInt(at, words.getInt(at) + moved);
    }
    return page;
  }

  /** A page of records, each three numbers and a pointer; it compresses by itself. */
  public static byte[] records(long seed, long moved) {
    SplittableRandom random = new SplittableRandom(seed);
    ByteBuffer page = ByteBuffer.allocate(PageCodec.PAGE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    while (page.hasRemaining()) {
      page.putLong(random.nextInt(1 << 20)).putLong(random.nextInt(5)).putLong(0);
      page.putLong(0xFFFF_8880_0000_0000L + ((long) random.nextInt(1 << 24) << 5) + moved);
    }
    return page.array();
  }
}
