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
 * A swap file on a bad day: one write in a hundred fails as a full or broken disk does, one read in
 * a hundred fails or gives back a wrong bit, and one transfer in ten is short. What was read wrong
 * comes right when it is read again: losing a page for good rightly ends its VM.
 */
final class FaultySwap implements SwapStorage {
  private static final int WRITE_FAILS_ONE_IN = 100;
  private static final int READ_FAILS_ONE_IN = 100;
  private static final int SHORT_ONE_IN = 10;

  /** Reads that are true after one that was not: more than a page is read in, tried again. */
  private static final int TRUE_READS = 200;

  private final FileChannel file;
  private final Random random;
  private final AtomicLong injected = new AtomicLong();
  private int trueReads;

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
    boolean wrong = trueReads-- <= 0 && random.nextInt(READ_FAILS_ONE_IN) == 0;
    if (wrong) {
      injected.incrementAndGet();
      trueReads = TRUE_READS;
      if (random.nextBoolean()) {
        throw new IOException("Input/output error");
      }
    }
    int limit = target.limit();
    int start = target.position();
    shorten(target);
    try {
      int count = file.read(target, position);
      if (wrong && count > 0) {
        int at = start + random.nextInt(count);
        target.put(at, (byte) (target.get(at) ^ 1 << random.nextInt(8)));
      }
      return count;
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
