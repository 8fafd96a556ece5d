package memvisor.device.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * Writes ACPI Machine Language: every method returns the encoding of one term, and terms nest as
 * arguments. ACPI 6.4, chapter 20; resource descriptors are from 6.4.2 and 6.4.3.
 */
final class Aml {
  private static final int NAME_OP = 0x08;
  private static final int BYTE_PREFIX = 0x0A;
  private static final int WORD_PREFIX = 0x0B;
  private static final int DWORD_PREFIX = 0x0C;
  private static final int STRING_PREFIX = 0x0D;
  private static final int SCOPE_OP = 0x10;
  private static final int BUFFER_OP = 0x11;
  private static final int PACKAGE_OP = 0x12;
  private static final int EXT_OP_PREFIX = 0x5B;
  private static final int DEVICE_OP = 0x82;
  private static final int NAME_SEGMENT_LENGTH = 4;

  private Aml() {}

  static byte[] concatenate(byte[]... terms) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] term : terms) {
      out.writeBytes(term);
    }
    return out.toByteArray();
  }

  /**
   * {@code Scope (path) { terms }}; a path is one segment, with a leading backslash if absolute.
   */
  static byte[] scope(String path, byte[]... terms) {
    return concatenate(bytes(SCOPE_OP), lengthPrefixed(path(path), concatenate(terms)));
  }

  /** {@code Device (name) { terms }}. */
  static byte[] device(String name, byte[]... terms) {
    return concatenate(
        bytes(EXT_OP_PREFIX, DEVICE_OP), lengthPrefixed(path(name), concatenate(terms)));
  }

  /** {@code Name (name, object)}. */
  static byte[] name(String name, byte[] object) {
    return concatenate(bytes(NAME_OP), path(name), object);
  }

  /** {@code Package () { elements }}. */
  static byte[] pkg(byte[]... elements) {
    return concatenate(
        bytes(PACKAGE_OP), lengthPrefixed(bytes(elements.length), concatenate(elements)));
  }

  /** {@code ResourceTemplate () { descriptors }}: a buffer closed by an end tag. */
  static byte[] resources(byte[]... descriptors) {
    // 6.4.2.9: a checksum of 0 is taken as valid.
    byte[] content = concatenate(concatenate(descriptors), bytes(0x79, 0));
    return concatenate(bytes(BUFFER_OP), lengthPrefixed(integer(content.length), content));
  }

  /** An integer of up to 32 bits, unsigned, in its shortest encoding. */
  static byte[] integer(long value) {
    if (value < 0 || value > 0xFFFF_FFFFL) {
      throw new IllegalArgumentException("not 32 bits unsigned: value=" + value);
    }
    int low = (int) value;
    if (value <= 1) {
      // ZeroOp and OneOp encode themselves.
      return bytes(low);
    }
    if (value <= 0xFF) {
      return bytes(BYTE_PREFIX, low);
    }
    if (value <= 0xFFFF) {
      return concatenate(bytes(WORD_PREFIX), word(low));
    }
    return concatenate(bytes(DWORD_PREFIX), dword(low));
  }

  /** An ASCII string. */
  static byte[] string(String text) {
    return concatenate(bytes(STRING_PREFIX), text.getBytes(StandardCharsets.US_ASCII), bytes(0));
  }

  /** {@code EisaId (id)}: three letters and four hexadecimal digits in 32 bits; 19.3.4. */
  static byte[] eisaId(String id) {
    int letters = 0;
    for (int i = 0; i < 3; i++) {
      letters = letters << 5 | id.charAt(i) - '@';
    }
    int number = Integer.parseInt(id.substring(3), 16);
    return concatenate(bytes(DWORD_PREFIX), dword(Integer.reverseBytes(letters << 16 | number)));
  }

  /** {@code IO (Decode16, first, first, 0, count)}. */
  static byte[] ioPorts(int first, int count) {
    return concatenate(bytes(0x47, 1), word(first), word(first), bytes(0, count));
  }

  /** {@code IRQNoFlags () { irq }}: an edge-triggered ISA interrupt. */
  static byte[] isaInterrupt(int irq) {
    return concatenate(bytes(0x22), word(1 << irq));
  }

  /** {@code Memory32Fixed (ReadWrite, base, size)}. */
  static byte[] memory32(long base, long sizeBytes) {
    if (base + sizeBytes > 1L << 32) {
      throw new IllegalArgumentException(
          "a window beyond 4 GiB: base=0x%x sizeBytes=%d".formatted(base, sizeBytes));
    }
    return concatenate(bytes(0x86), word(9), bytes(1), dword((int) base), dword((int) sizeBytes));
  }

  /** {@code Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { gsi }}. */
  static byte[] levelInterrupt(int gsi) {
    return concatenate(bytes(0x89), word(6), bytes(1, 1), dword(gsi));
  }

  private static byte[] path(String path) {
    boolean root = path.startsWith("\\");
    String segment = root ? path.substring(1) : path;
    if (segment.length() > NAME_SEGMENT_LENGTH) {
      throw new IllegalArgumentException("a name has at most four characters: " + segment);
    }
    String padded = segment + "_".repeat(NAME_SEGMENT_LENGTH - segment.length());
    byte[] name = padded.getBytes(StandardCharsets.US_ASCII);
    return root ? concatenate(bytes('\\'), name) : name;
  }

  /** PkgLength, which counts itself, before the content; 20.2.4. */
  private static byte[] lengthPrefixed(byte[]... parts) {
    byte[] content = concatenate(parts);
    int prefix = 1;
    while (content.length + prefix >= (prefix == 1 ? 1 << 6 : 1 << 8 * prefix - 4)) {
      prefix++;
    }
    int length = content.length + prefix;
    if (prefix == 1) {
      return concatenate(bytes(length), content);
    }
    byte[] encoded = new byte[prefix];
    encoded[0] = (byte) (prefix - 1 << 6 | length & 0xF);
    for (int i = 1; i < prefix; i++) {
      encoded[i] = (byte) (length >> 8 * i - 4);
    }
    return concatenate(encoded, content);
  }

  private static byte[] bytes(int... values) {
    byte[] result = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = (byte) values[i];
    }
    return result;
  }

  private static byte[] word(int value) {
    return bytes(value, value >> 8);
  }

  private static byte[] dword(int value) {
    return bytes(value, value >> 8, value >> 16, value >> 24);
  }
}
