package memvisor.device.virtio;

import java.util.OptionalLong;

/**
 * What a guest last said of its memory (virtio 1.2, 5.5.6.3).
 *
 * @param sequence counts the reports since the driver started; 0 means that there was none
 */
public record BalloonStatistics(
    long sequence,
    OptionalLong swapInBytes,
    OptionalLong swapOutBytes,
    OptionalLong majorFaults,
    OptionalLong minorFaults,
    OptionalLong freeBytes,
    OptionalLong totalBytes,
    OptionalLong availableBytes,
    OptionalLong diskCacheBytes) {
  /** No report yet. */
  public static final BalloonStatistics NONE = of(0, new byte[0]);

  /** One tag of 2 bytes and its value of 8, without padding. */
  static final int ENTRY_BYTES = 10;

  private static final int TAG_COUNT = 8;

  /** Reads a report; tags of a later version are passed over, and the last of a tag counts. */
  static BalloonStatistics of(long sequence, byte[] report) {
    OptionalLong[] values = new OptionalLong[TAG_COUNT];
    java.util.Arrays.fill(values, OptionalLong.empty());
    for (int at = 0; at + ENTRY_BYTES <= report.length; at += ENTRY_BYTES) {
      int tag = (int) littleEndian(report, at, 2);
      if (tag < TAG_COUNT) {
        values[tag] = OptionalLong.of(littleEndian(report, at + 2, 8));
      }
    }
    return new BalloonStatistics(
        sequence, values[0], values[1], values[2], values[3], values[4], values[5], values[6],
        values[7]);
  }

  private static long littleEndian(byte[] bytes, int at, int sizeBytes) {
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      value = value << 8 | bytes[at + i] & 0xFF;
    }
    return value;
  }
}
