package memvisor.device.virtio;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;

/** A disk image of raw sectors. One thread at a time. */
public final class FileStorage implements BlockStorage, AutoCloseable {
  // Not a channel: those close themselves when a thread that reads is interrupted.
  private final RandomAccessFile file;
  private final boolean readOnly;
  private final long sizeBytes;

  /**
   * Opens an image.
   *
   * @throws IOException if there is none, or it may not be written and {@code readOnly} is not set
   */
  public FileStorage(Path image, boolean readOnly) throws IOException {
    file = new RandomAccessFile(image.toFile(), readOnly ? "r" : "rw");
    this.readOnly = readOnly;
    sizeBytes = file.length();
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean isReadOnly() {
    return readOnly;
  }

  @Override
  public void read(long offset, byte[] target) throws IOException {
    file.seek(offset);
    file.readFully(target);
  }

  @Override
  public void write(long offset, byte[] source) throws IOException {
    file.seek(offset);
    file.write(source);
  }

  @Override
  public void flush() throws IOException {
    file.getFD().sync();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
