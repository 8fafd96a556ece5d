package memvisor.device.acpi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Builds one system description table: header, little-endian fields, checksum; ACPI 6.4, 5.2.6. */
final class TableWriter {
  static final int HEADER_BYTES = 36;
  private static final int LENGTH_AT = 4;
  private static final int CHECKSUM_AT = 9;
  private static final int MAXIMUM_BYTES = 1 << 20;

  private final ByteBuffer buffer;

  TableWriter(String signature, int revision) {
    buffer = ByteBuffer.allocate(MAXIMUM_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    ascii(signature).dword(0).bytes(revision, 0).ascii("MEMVSR").ascii("MEMVISOR");
    dword(1).ascii("MEMV").dword(1);
  }

  TableWriter bytes(int... values) {
    for (int value : values) {
      buffer.put((byte) value);
    }
    return this;
  }

  TableWriter raw(byte[] bytes) {
    buffer.put(bytes);
    return this;
  }

  TableWriter ascii(String text) {
    return raw(text.getBytes(StandardCharsets.US_ASCII));
  }

  TableWriter word(int value) {
    buffer.putShort((short) value);
    return this;
  }

  TableWriter dword(long value) {
    buffer.putInt((int) value);
    return this;
  }

  TableWriter qword(long value) {
    buffer.putLong(value);
    return this;
  }

  /** A generic address structure in the I/O space; absent if {@code port} is 0; 5.2.3.2. */
  TableWriter ioAddress(int port, int sizeBytes) {
    if (port == 0) {
      return raw(new byte[12]);
    }
    int accessSize = 1 + Integer.numberOfTrailingZeros(Math.min(sizeBytes, 4));
    return bytes(1, 8 * sizeBytes, 0, accessSize).qword(port);
  }

  /** Continues at a field's offset; what lies between is zero. */
  TableWriter at(int offset) {
    if (offset < buffer.position()) {
      throw new IllegalStateException(
          "field at %d lies before %d".formatted(offset, buffer.position()));
    }
    buffer.position(offset);
    return this;
  }

  /** The table with its length and checksum. */
  byte[] table() {
    buffer.putInt(LENGTH_AT, buffer.position());
    byte[] table = Arrays.copyOf(buffer.array(), buffer.position());
    table[CHECKSUM_AT] = checksum(table, table.length);
    return table;
  }

  /** What to put where 0 was so that the first {@code length} bytes add up to 0. */
  static byte checksum(byte[] bytes, int length) {
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += bytes[i];
    }
    return (byte) -sum;
  }
}
