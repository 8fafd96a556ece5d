package memvisor.machine.fleet;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Random;
import memvisor.host.swap.SwapStorage;

/**
 * A swap file in memory of which some writes fail, and some reads fail or give back a wrong bit:
 * never two reads one after the other, so that no page is lost.
 */
final class BadSwap implements SwapStorage {
  private static final int ONE_IN = 20;

  private final byte[] bytes;
  private final Random random;
  private boolean badRead;
  private long failedWrites;
  private long wrongReads;

  BadSwap(int sizeBytes, Random random) {
    bytes = new byte[sizeBytes];
    this.random = random;
  }

  synchronized long failedWrites() {
    return failedWrites;
  }

  synchronized long wrongReads() {
    return wrongReads;
  }

  @Override
  public synchronized int read(ByteBuffer target, long position) throws IOException {
    badRead = !badRead && random.nextInt(ONE_IN) == 0;
    wrongReads += badRead ? 1 : 0;
    if (badRead && random.nextBoolean()) {
      throw new IOException("Input/output error");
    }
    int count = target.remaining();
    int start = target.position();
    target.put(bytes, (int) position, count);
    if (badRead) {
      // In the page that was asked for, not in those that are read ahead.
      int at = start + random.nextInt(Math.min(4096, count));
      target.put(at, (byte) (target.get(at) ^ 1 << random.nextInt(8)));
    }
    return count;
  }

  @Override
  public synchronized int write(ByteBuffer source, long position) throws IOException {
    if (random.nextInt(ONE_IN) == 0) {
      failedWrites++;
      throw new IOException("No space left on device");
    }
    int count = source.remaining();
    source.get(bytes, (int) position, count);
    return count;
  }

  @Override
  public void close() {}
}
