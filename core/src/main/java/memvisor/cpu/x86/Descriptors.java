package memvisor.cpu.x86;

/**
 * Segment and gate descriptors as raw 64-bit values (Intel SDM vol. 3A, figures 3-8, 5-8 and 6-2).
 *
 * <pre>
 *   segment  63..56 base 31..24 | 55 G | 54 D/B | 53 L | 52 AVL | 51..48 limit 19..16
 *            47 P | 46..45 DPL | 44 S | 43..40 type | 39..16 base 23..0 | 15..0 limit 15..0
 *   gate     63..48 offset 31..16 | 47 P | 46..45 DPL | 43..40 type | 34..32 IST
 *            31..16 selector | 15..0 offset 15..0
 * </pre>
 *
 * The attributes that a segment register keeps are bits 55..40 moved to 15..0, without the limit.
 */
final class Descriptors {
  /** Attribute bits; the first four by the kind of segment. */
  static final int ACCESSED = 1;

  static final int WRITABLE = 1 << 1;
  static final int READABLE = 1 << 1;
  static final int EXPAND_DOWN = 1 << 2;
  static final int CONFORMING = 1 << 2;
  static final int CODE = 1 << 3;

  /** S: code or data, not a system segment. */
  static final int CODE_OR_DATA = 1 << 4;

  static final int PRESENT = 1 << 7;

  /** L: 64-bit code. */
  static final int LONG = 1 << 13;

  /** D/B: 32-bit code or stack. */
  static final int BIG = 1 << 14;

  static final int GRANULARITY = 1 << 15;

  /** System types (Intel SDM vol. 3A, table 3-2). */
  static final int TSS16_AVAILABLE = 0x1;

  static final int LDT = 0x2;
  static final int TSS16_BUSY = 0x3;
  static final int CALL_GATE_16 = 0x4;
  static final int TASK_GATE = 0x5;
  static final int INTERRUPT_GATE_16 = 0x6;
  static final int TRAP_GATE_16 = 0x7;
  static final int TSS_AVAILABLE = 0x9;
  static final int TSS_BUSY = 0xB;
  static final int CALL_GATE = 0xC;
  static final int INTERRUPT_GATE = 0xE;
  static final int TRAP_GATE = 0xF;

  private Descriptors() {}

  static long base(long raw) {
    return raw >>> 16 & 0xFF_FFFF | raw >>> 56 << 24;
  }

  /** The limit in bytes, as an unsigned 32-bit value. */
  static int limit(long raw) {
    int limit = (int) (raw & 0xFFFF | raw >>> 32 & 0xF_0000);
    return (raw & 1L << 55) != 0 ? limit << 12 | 0xFFF : limit;
  }

  static int attributes(long raw) {
    return (int) (raw >>> 40) & 0xF0FF;
  }

  static int dpl(int attributes) {
    return attributes >>> 5 & 3;
  }

  /** Type with the S bit (bit 4): below 16 a system type. */
  static int type(int attributes) {
    return attributes & 0x1F;
  }

  static boolean present(int attributes) {
    return (attributes & PRESENT) != 0;
  }

  static boolean isCode(int attributes) {
    return (attributes & (CODE_OR_DATA | CODE)) == (CODE_OR_DATA | CODE);
  }

  static boolean isConforming(int attributes) {
    return isCode(attributes) && (attributes & CONFORMING) != 0;
  }

  static boolean isReadable(int attributes) {
    return (attributes & CODE_OR_DATA) != 0 && (attributes & (CODE | READABLE)) != CODE;
  }

  static boolean isWritableData(int attributes) {
    return (attributes & (CODE_OR_DATA | CODE | WRITABLE)) == (CODE_OR_DATA | WRITABLE);
  }

  /** Offset of a gate, its low 32 bits. */
  static long gateOffset(long raw) {
    return raw & 0xFFFF | raw >>> 32 & 0xFFFF_0000L;
  }

  static int gateSelector(long raw) {
    return (int) (raw >>> 16) & 0xFFFF;
  }

  static int gateType(long raw) {
    return (int) (raw >>> 40) & 0x1F;
  }

  /**
   * Whether {@code sizeBytes} at {@code offset} lie in a segment (Intel SDM vol. 3A, 5.3).
   *
   * @param limit in bytes, unsigned
   */
  static boolean within(int attributes, int limit, long offset, int sizeBytes) {
    long last = offset + sizeBytes - 1;
    long bound = limit & 0xFFFF_FFFFL;
    boolean expandDown =
        (attributes & (CODE_OR_DATA | CODE | EXPAND_DOWN)) == (CODE_OR_DATA | EXPAND_DOWN);
    if (!expandDown) {
      return last <= bound;
    }
    return offset > bound && last <= ((attributes & BIG) != 0 ? 0xFFFF_FFFFL : 0xFFFFL);
  }
}
