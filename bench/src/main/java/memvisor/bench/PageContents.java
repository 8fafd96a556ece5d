package memvisor.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import memvisor.memory.GuestMemory;

/** What the measured guests' pages hold. */
enum PageContents {
  /** Every page different, and none compressible. */
  UNIQUE {
    @Override
    void fill(ByteBuffer page, long number) {
      SplittableRandom random = new SplittableRandom(number);
      while (page.hasRemaining()) {
        page.putLong(random.nextLong());
      }
    }
  },
  /** Each content twice. */
  PAIRS {
    @Override
    void fill(ByteBuffer page, long number) {
      UNIQUE.fill(page, number / 2);
    }
  },
  /**
   * Records as kernels keep them: pointers that share their upper halves, small numbers, a name.
   * They compress to about a half.
   */
  RECORDS {
    @Override
    void fill(ByteBuffer page, long number) {
      SplittableRandom random = new SplittableRandom(number);
      while (page.hasRemaining()) {
        page.putLong(0xFFFF_8880_0000_0000L | random.nextInt(1 << 28) & -64);
        page.putLong(0xFFFF_8880_0000_0000L | random.nextInt(1 << 28) & -64);
        page.putInt(random.nextInt(16)).putInt(random.nextInt(1 << 20));
        page.putLong(0);
        page.putLong(0x6D65_6D76_6973_6F72L).putLong(random.nextInt(1000));
        page.putLong(random.nextLong()).putLong(0);
      }
    }
  };

  abstract void fill(ByteBuffer page, long number);

  /** Fills pages {@code [first, first + count)} of a guest. */
  void fill(GuestMemory memory, long first, long count, long firstNumber) {
    byte[] bytes = new byte[4096];
    for (long page = 0; page < count; page++) {
      ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      fill(buffer, firstNumber + page);
      memory.write(first + page << 12, bytes, 0, bytes.length);
    }
  }
}
