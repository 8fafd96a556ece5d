package memvisor.cpu.x86;

/**
 * One segment register with its hidden part, as a virtual-machine control structure holds it.
 *
 * @param selector visible selector
 * @param base linear base
 * @param limit in bytes, unsigned 32-bit
 * @param attributes descriptor bits 40–55 in place 0–15 without the limit; 0 is unusable
 */
public record SegmentState(int selector, long base, int limit, int attributes) {
  /** Flat 64-bit code at privilege level 0. */
  public static SegmentState code64(int selector) {
    return new SegmentState(selector, 0, -1, 0xA09B);
  }

  /** Flat 32-bit code at privilege level 0. */
  public static SegmentState code32(int selector) {
    return new SegmentState(selector, 0, -1, 0xC09B);
  }

  /** Flat writable data at privilege level 0. */
  public static SegmentState data(int selector) {
    return new SegmentState(selector, 0, -1, 0xC093);
  }

  /** A busy 32- or 64-bit TSS. */
  public static SegmentState tss(int selector, long base, int limit) {
    return new SegmentState(selector, base, limit, 0x8B);
  }

  /** Unusable. */
  public static SegmentState none() {
    return new SegmentState(0, 0, 0, 0);
  }
}
