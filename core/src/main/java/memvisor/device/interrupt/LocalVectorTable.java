package memvisor.device.interrupt;

/**
 * The local vector table: one entry for each local source, as registers 320h to 370h hold it; SDM
 * volume 3, figure 11-8.
 *
 * <pre>
 *  18 17   16   15 14 13 12     10  8 7      0
 * | tmr  | M  | T| R| P| S| . | mode | vector |
 * </pre>
 */
final class LocalVectorTable {
  static final int TIMER = 0;
  static final int LINT0 = 3;
  static final int LINT1 = 4;
  static final int ERROR = 5;
  static final int ENTRY_COUNT = 6;

  private static final int MASKED = 1 << 16;
  // Timer, thermal sensor, performance counters, LINT0, LINT1, error.
  private static final int[] WRITABLE = {0x700FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF};

  private final int[] entries = new int[ENTRY_COUNT];

  void reset() {
    java.util.Arrays.fill(entries, MASKED);
  }

  int entry(int index) {
    return entries[index];
  }

  void write(int index, int value, boolean softwareEnabled) {
    entries[index] = value & WRITABLE[index] | (softwareEnabled ? 0 : MASKED);
  }

  /** SDM volume 3, 11.4.7.2: disabling the APIC by software masks every entry. */
  void maskAll() {
    for (int i = 0; i < ENTRY_COUNT; i++) {
      entries[i] |= MASKED;
    }
  }

  boolean masked(int index) {
    return (entries[index] & MASKED) != 0;
  }

  int deliveryMode(int index) {
    return entries[index] >> 8 & 7;
  }

  int vector(int index) {
    return entries[index] & 0xFF;
  }

  int timerMode() {
    return entries[TIMER] >> 17 & 3;
  }
}
