package memvisor.boot;

/**
 * The GDT that boot protocols ask for.
 *
 * <p>Selectors 0x10 and 0x18 are code and data as the Linux boot protocol demands (__BOOT_CS and
 * __BOOT_DS); 0x08 and 0x20 serve the other modes. Descriptors: Intel SDM 3, figure 3-8.
 */
final class GuestGdt {
  static final SegmentState CODE_32 = new SegmentState(0x08, 0, -1, 0xCF9B);

  /** What Linux' 32-bit protocol asks for, in the place of CODE_64. */
  static final SegmentState BOOT_CODE_32 = new SegmentState(0x10, 0, -1, 0xCF9B);

  static final SegmentState CODE_64 = new SegmentState(0x10, 0, -1, 0xAF9B);
  static final SegmentState DATA = new SegmentState(0x18, 0, -1, 0xCF93);
  // PVH asks for a 32-bit TSS, active, of 0x67 bytes at 0; nobody ever switches tasks through it.
  static final SegmentState TASK = new SegmentState(0x20, 0, 0x67, 0x008B);

  /** Five descriptors; a TSS in long mode would take the sixth place too. */
  static final int SIZE_BYTES = 6 * 8;

  private GuestGdt() {}

  /** The table; {@code bootCode} is CODE_64 or BOOT_CODE_32. */
  static byte[] bytes(SegmentState bootCode) {
    byte[] table = new byte[SIZE_BYTES];
    for (SegmentState segment : new SegmentState[] {CODE_32, bootCode, DATA, TASK}) {
      LittleEndian.put(table, segment.selector(), 8, descriptor(segment));
    }
    return table;
  }

  // Base is 0 in all of them. A descriptor holds 20 bits of limit; the attributes hold 19:16.
  private static long descriptor(SegmentState segment) {
    long limit15To0 = segment.limit() & 0xFFFF;
    return limit15To0 | (long) segment.attributes() << 40;
  }
}
