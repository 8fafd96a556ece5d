package memvisor.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import memvisor.host.swap.SwapStorage;

/**
 * A swap file on a bad day: one write in a hundred fails as a full or broken disk does, and one
 * transfer in ten is short. Reads never fail for good: losing a page rightly ends its VM.
 */
final class FaultySwap implements SwapStorage {
  private static final int WRITE_FAILS_ONE_IN = 100;
  private static final int SHORT_ONE_IN = 10;

  private final FileChannel file;
  private final Random random;
  private final AtomicLong injected = new AtomicLong();

  FaultySwap(Path path, Random random) throws IOException {
    this.file =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE);
    this.random = random;
  }

  /** Failures and short transfers so far. */
  long injected() {
    return injected.get();
  }

  @Override
  public synchronized int read(ByteBuffer target, long position) throws IOException {
    int limit = target.limit();
    shorten(target);
    try {
      return file.read(target, position);
    } finally {
      target.limit(limit);
    }
  }

  @Override
  public synchronized int write(ByteBuffer source, long position) throws IOException {
    if (random.nextInt(WRITE_FAILS_ONE_IN) == 0) {
      injected.incrementAndGet();
      throw new IOException(
          random.nextBoolean() ? "No space left on device" : "Input/output error");
    }
    int limit = source.limit();
    shorten(source);
    try {
      return file.write(source, position);
    } finally {
      source.limit(limit);
    }
  }

  private void shorten(ByteBuffer buffer) {
    if (buffer.remaining() > 1 && random.nextInt(SHORT_ONE_IN) == 0) {
      injected.incrementAndGet();
      buffer.limit(buffer.position() + 1 + random.nextInt(buffer.remaining() - 1));
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
