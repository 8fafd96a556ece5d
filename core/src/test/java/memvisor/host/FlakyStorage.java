package memvisor.host;

import java.io.IOException;
import java.nio.ByteBuffer;
import memvisor.host.swap.SwapStorage;

/** A swap file in memory that fails as it is told to. */
final class FlakyStorage implements SwapStorage {
  /** What goes wrong. */
  enum Fault {
    NONE,
    NO_SPACE,
    READ_ERROR,
    TRUNCATED,
    BIT_FLIP,
    STALE
  }

  private final byte[] bytes;
  volatile Fault fault = Fault.NONE;

  FlakyStorage(int sizeBytes) {
    bytes = new byte[sizeBytes];
  }

  @Override
  public int read(ByteBuffer target, long position) throws IOException {
    switch (fault) {
      case READ_ERROR -> throw new IOException("Input/output error");
      case TRUNCATED -> {
        return -1;
      }
      default -> {}
    }
    // Never more than 1000 bytes: short reads are no error.
    int count = Math.min(1000, target.remaining());
    byte[] part = java.util.Arrays.copyOfRange(bytes, (int) position, (int) position + count);
    if (fault == Fault.BIT_FLIP) {
      part[count / 2] ^= 4;
    } else if (fault == Fault.STALE) {
      java.util.Arrays.fill(part, (byte) 0);
    }
    target.put(part);
    return count;
  }

  @Override
  public int write(ByteBuffer source, long position) throws IOException {
    if (fault == Fault.NO_SPACE) {
      throw new IOException("No space left on device");
    }
    int count = Math.min(1500, source.remaining());
    source.get(bytes, (int) position, count);
    return count;
  }

  @Override
  public void close() {}
}
