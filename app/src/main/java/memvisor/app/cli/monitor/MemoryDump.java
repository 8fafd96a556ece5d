package memvisor.app.cli.monitor;

import java.util.Locale;

/** The format of {@code x} and {@code xp}, {@code /[count][format][size]}, and what it prints. */
final class MemoryDump {
  /** As many items as fill some screens; more are a mistake. */
  private static final int MOST_ITEMS = 4096;

  private static final int BYTES_PER_LINE = 16;
  private static final int SINGLE_BYTES_PER_LINE = 8;
  private static final String SIZES = "bhwg";
  private static final String FORMATS = "xduoc";

  private final int count;
  private final char format;
  private final int sizeBytes;

  private MemoryDump(int count, char format, int sizeBytes) {
    this.count = count;
    this.format = format;
    this.sizeBytes = sizeBytes;
  }

  /** One hexadecimal word of four bytes, QEMU's default. */
  static MemoryDump standard() {
    return new MemoryDump(1, 'x', 4);
  }

  /** Parses what stands after the slash. */
  static MemoryDump parse(String text) {
    int digits = 0;
    while (digits < text.length() && Character.digit(text.charAt(digits), 10) >= 0) {
      digits++;
    }
    int count = digits == 0 ? 1 : parseCount(text.substring(0, digits));
    char format = 'x';
    int size = 4;
    for (char letter : text.substring(digits).toCharArray()) {
      if (SIZES.indexOf(letter) >= 0) {
        size = 1 << SIZES.indexOf(letter);
      } else if (FORMATS.indexOf(letter) >= 0) {
        format = letter;
      } else if (letter == 'i') {
        throw new MonitorError("there is no disassembler: use one of the formats x, d, u, o, c");
      } else {
        throw new MonitorError("invalid char in format: '" + letter + "'");
      }
    }
    return new MemoryDump(count, format, format == 'c' ? 1 : size);
  }

  private static int parseCount(String digits) {
    if (digits.length() > 6 || Integer.parseInt(digits) > MOST_ITEMS) {
      throw new MonitorError("at most " + MOST_ITEMS + " items can be shown at once");
    }
    return Integer.parseInt(digits);
  }

  int lengthBytes() {
    return count * sizeBytes;
  }

  /**
   * Prints memory, 16 bytes a line, or 8 when they are shown one by one.
   *
   * @param address where it begins
   * @param bytes what is there
   * @param readable how many of the bytes could be read
   */
  String print(long address, byte[] bytes, int readable) {
    StringBuilder out = new StringBuilder();
    int perLine = sizeBytes == 1 ? SINGLE_BYTES_PER_LINE : BYTES_PER_LINE / sizeBytes;
    for (int item = 0; item < count; item++) {
      if (item % perLine == 0) {
        out.append(item == 0 ? "" : "\n").append("%016x:".formatted(address + item * sizeBytes));
      }
      if ((item + 1) * sizeBytes > readable) {
        return out.append(" Cannot access memory\n").toString();
      }
      out.append(' ').append(item(bytes, item * sizeBytes));
    }
    return count == 0 ? "" : out.append('\n').toString();
  }

  private String item(byte[] bytes, int offset) {
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      value = value << 8 | bytes[offset + i] & 0xFF;
    }
    return switch (format) {
      case 'd' -> padded(Long.toString(value), decimalDigits());
      case 'u' -> padded(Long.toUnsignedString(value), decimalDigits());
      case 'o' -> padded(octal(value), (sizeBytes * 8 + 2) / 3);
      case 'c' -> character((int) value);
      default -> "0x" + zeros(Long.toHexString(value), sizeBytes * 2);
    };
  }

  private static String octal(long value) {
    return value == 0 ? "0" : "0" + Long.toOctalString(value);
  }

  /** Digits of the largest unsigned value. */
  private int decimalDigits() {
    return switch (sizeBytes) {
      case 1 -> 3;
      case 2 -> 5;
      case 4 -> 10;
      default -> 20;
    };
  }

  private static String padded(String text, int width) {
    return " ".repeat(Math.max(0, width - text.length())) + text;
  }

  private static String zeros(String text, int width) {
    return "0".repeat(Math.max(0, width - text.length())) + text;
  }

  private static String character(int value) {
    return switch (value) {
      case '\'' -> "'\\''";
      case '\\' -> "'\\\\'";
      case '\n' -> "'\\n'";
      case '\r' -> "'\\r'";
      default ->
          value >= 32 && value <= 126
              ? "'" + (char) value + "'"
              : String.format(Locale.ROOT, "'\\x%02x'", value);
    };
  }
}
