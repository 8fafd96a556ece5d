package memvisor.boot;

import java.nio.charset.StandardCharsets;

/**
 * The bytes of an image file, read little-endian and never outside.
 *
 * <p>Offsets and lengths come from the file and may be any unsigned 64-bit nonsense.
 */
final class ImageBytes {
  private final String format;
  private final byte[] bytes;

  /** {@code format} names the kind of image in messages, as in "bzImage". */
  ImageBytes(String format, byte[] bytes) {
    this.format = format;
    this.bytes = bytes;
  }

  long sizeBytes() {
    return bytes.length;
  }

  byte[] array() {
    return bytes;
  }

  /** Fails unless {@code [offset, offset + lengthBytes)} lies in the file. */
  void require(long offset, long lengthBytes, String what) {
    if (offset < 0 || lengthBytes < 0 || lengthBytes > bytes.length - offset) {
      throw new ImageFormatException(
          "the %s is truncated or damaged: its %s needs %s bytes at offset %s, the file has %d"
              .formatted(
                  format,
                  what,
                  Long.toUnsignedString(lengthBytes),
                  Long.toUnsignedString(offset),
                  bytes.length));
    }
  }

  ImageFormatException error(String sentence) {
    return new ImageFormatException("the " + format + " " + sentence);
  }

  int u8(long offset, String what) {
    return (int) value(offset, 1, what);
  }

  int u16(long offset, String what) {
    return (int) value(offset, 2, what);
  }

  long u32(long offset, String what) {
    return value(offset, 4, what);
  }

  long u64(long offset, String what) {
    return value(offset, 8, what);
  }

  private long value(long offset, int sizeBytes, String what) {
    require(offset, sizeBytes, what);
    return LittleEndian.get(bytes, (int) offset, sizeBytes);
  }

  /** The bytes {@code [offset, offset + lengthBytes)} as Latin-1 text up to the first NUL. */
  String text(long offset, long lengthBytes, String what) {
    require(offset, lengthBytes, what);
    String all = new String(bytes, (int) offset, (int) lengthBytes, StandardCharsets.ISO_8859_1);
    int end = all.indexOf('\0');
    return end < 0 ? all : all.substring(0, end);
  }

  /** Whether the file has {@code magic} (one byte per character) at {@code offset}. */
  boolean startsWith(long offset, String magic) {
    return offset >= 0
        && magic.length() <= bytes.length - offset
        && new String(bytes, (int) offset, magic.length(), StandardCharsets.ISO_8859_1)
            .equals(magic);
  }
}
