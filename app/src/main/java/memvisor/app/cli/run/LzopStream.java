package memvisor.app.cli.run;

import io.airlift.compress.v3.lzo.LzoDecompressor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** The format of lzop, in which a kernel's payload may be packed: a header, then blocks. */
final class LzopStream {
  private static final int MAGIC_BYTES = 9;
  private static final int VERSION_WITH_LEVEL = 0x0940;
  private static final int HAS_FILTER = 0x800;

  /** More than any writer's blocks. */
  private static final int MAX_BLOCK_BYTES = 64 << 20;

  private LzopStream() {}

  /**
   * Unpacks a stream.
   *
   * @throws IOException if it is damaged
   */
  static byte[] unpack(byte[] stream) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(stream);
    try {
      skipHeader(in);
      return blocks(in);
    } catch (IllegalArgumentException | java.nio.BufferUnderflowException damaged) {
      throw new IOException("the LZO stream ends or is damaged at offset " + in.position());
    }
  }

  private static void skipHeader(ByteBuffer in) {
    in.position(MAGIC_BYTES);
    boolean withLevel = (in.getShort() & 0xFFFF) >= VERSION_WITH_LEVEL;
    // The library's version, the one needed, the method; then perhaps the level.
    in.position(in.position() + (withLevel ? 6 : 5));
    boolean filtered = (in.getInt() & HAS_FILTER) != 0;
    // Filter, mode, and the time of change, whose upper half is newer.
    in.position(in.position() + (filtered ? 4 : 0) + (withLevel ? 12 : 8));
    int name = in.get() & 0xFF;
    // The name, and the header's checksum.
    in.position(in.position() + name + 4);
  }

  private static byte[] blocks(ByteBuffer in) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream(in.capacity() * 3);
    LzoDecompressor decompressor = new LzoDecompressor();
    for (int size = in.getInt(); size != 0; size = in.getInt()) {
      int packed = in.getInt();
      in.getInt(); // checksum of the unpacked block
      if (size < 0 || size > MAX_BLOCK_BYTES || packed < 0 || packed > in.remaining()) {
        throw new IOException("an LZO block of %d bytes in %d".formatted(size, packed));
      }
      int start = in.position();
      byte[] block = Arrays.copyOfRange(in.array(), start, start + packed);
      if (packed != size) {
        byte[] unpacked = new byte[size];
        int length = decompressor.decompress(block, 0, packed, unpacked, 0, size);
        block = Arrays.copyOf(unpacked, length);
      }
      out.writeBytes(block);
      in.position(start + packed);
    }
    return out.toByteArray();
  }
}
