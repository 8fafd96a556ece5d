package memvisor.boot;

/** Little-endian values in byte arrays. */
final class LittleEndian {
  private LittleEndian() {}

  /** The unsigned value of {@code sizeBytes} (1 to 8) bytes at {@code offset}. */
  static long get(byte[] bytes, int offset, int sizeBytes) {
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      value = value << 8 | bytes[offset + i] & 0xFF;
    }
    return value;
  }

  /** Stores the low {@code sizeBytes} bytes of {@code value} at {@code offset}. */
  static void put(byte[] bytes, int offset, int sizeBytes, long value) {
    for (int i = 0; i < sizeBytes; i++) {
      bytes[offset + i] = (byte) (value >>> 8 * i);
    }
  }
}
