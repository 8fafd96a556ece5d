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
      records(page, number, 0);
    }
  },
  /**
   * The same in several guests, each of which has what the pointers lead to somewhere else: page n
   * of guest g is number g * {@link #ONE_GUEST_ON} + n.
   */
  MOVED_RECORDS {
    @Override
    void fill(ByteBuffer page, long number) {
      records(page, number % ONE_GUEST_ON, number / ONE_GUEST_ON * KERNEL_ALIGNMENT);
    }
  };

  static final long ONE_GUEST_ON = 1L << 40;

  /** By multiples of this Linux chooses where its kernel lies. */
  private static final long KERNEL_ALIGNMENT = 2L << 20;

  private static void records(ByteBuffer page, long number, long moved) {
    SplittableRandom random = new SplittableRandom(number);
    while (page.hasRemaining()) {
      page.putLong((0xFFFF_8880_0000_0000L | random.nextInt(1 << 28) & -64) + moved);
      page.putLong((0xFFFF_8880_0000_0000L | random.nextInt(1 << 28) & -64) + moved);
      page.putInt(random.nextInt(16)).putInt(random.nextInt(1 << 20));
      page.putLong(0);
      page.putLong(0x6D65_6D76_6973_6F72L).putLong(random.nextInt(1000));
      page.putLong(random.nextLong()).putLong(0);
    }
  }

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
