package memvisor.device.virtio;

import java.io.IOException;

/** Where a block device keeps its bytes. Offsets and lengths stay within {@link #sizeBytes}. */
public interface BlockStorage {
  /** The size, fixed. */
  long sizeBytes();

  /** Whether it may not be written. */
  boolean isReadOnly();

  /** Reads all of {@code target}. */
  void read(long offset, byte[] target) throws IOException;

  /** Writes all of {@code source}. */
  void write(long offset, byte[] source) throws IOException;

  /** Returns when all that was written would survive the host's end. */
  void flush() throws IOException;
}
