package memvisor.host.compress;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/** Makes pages of a wanted CRC-32C: what a hostile guest does. */
final class Crc {
  private Crc() {}

  private static int of(byte[] page) {
    CRC32C crc = new CRC32C();
    crc.update(page);
    return (int) crc.getValue();
  }

  /** The page with other last four bytes, such that its checksum is the one wanted. */
  static byte[] withChecksum(byte[] page, int wanted) {
    byte[] made = page.clone();
    ByteBuffer words = ByteBuffer.wrap(made).order(ByteOrder.LITTLE_ENDIAN);
    int last = made.length - 4;
    words.putInt(last, 0);
    int base = of(made);
    // The checksum is linear in the last word: solve 32 equations by elimination.
    int[] effect = new int[32];
    int[] word = new int[32];
    for (int bit = 0; bit < 32; bit++) {
      words.putInt(last, 1 << bit);
      effect[bit] = of(made) ^ base;
      word[bit] = 1 << bit;
    }
    int rest = wanted ^ base;
    int answer = 0;
    for (int bit = 0; bit < 32; bit++) {
      int pivot = bit;
      while ((effect[pivot] >>> bit & 1) == 0) {
        pivot++;
      }
      swap(effect, bit, pivot);
      swap(word, bit, pivot);
      for (int other = bit + 1; other < 32; other++) {
        if ((effect[other] >>> bit & 1) != 0) {
          effect[other] ^= effect[bit];
          word[other] ^= word[bit];
        }
      }
      if ((rest >>> bit & 1) != 0) {
        rest ^= effect[bit];
        answer ^= word[bit];
      }
    }
    words.putInt(last, answer);
    if (of(made) != wanted) {
      throw new IllegalStateException("checksum=0x%x wanted=0x%x".formatted(of(made), wanted));
    }
    return made;
  }

  private static void swap(int[] array, int one, int other) {
    int kept = array[one];
    array[one] = array[other];
    array[other] = kept;
  }
}
