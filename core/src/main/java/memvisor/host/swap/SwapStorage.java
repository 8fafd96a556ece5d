package memvisor.host.swap;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Bytes behind a {@link SwapFile}. May transfer less than asked for, as files do. */
public interface SwapStorage extends AutoCloseable {
  /** Reads into {@code target} from {@code position}; bytes read, or -1 at the end of the file. */
  int read(ByteBuffer target, long position) throws IOException;

  /** Writes from {@code source} at {@code position}; bytes written. */
  int write(ByteBuffer source, long position) throws IOException;

  @Override
  void close() throws IOException;
}
