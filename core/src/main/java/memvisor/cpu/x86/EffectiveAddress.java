package memvisor.cpu.x86;

/**
 * A memory operand: {@code segment:[base + index << scale + displacement]} (Intel SDM vol. 1,
 * 3.7.5).
 *
 * <p>An absent base or index is register {@link Vcpu#ZERO}; a RIP-relative operand uses {@link
 * Vcpu#BLOCK} as its base, with the distance from the block's start folded into the displacement.
 */
final class EffectiveAddress {
  /** A non-canonical address: no translation cache holds it, and no access is made there. */
  static final long NOWHERE = 1L << 63;

  final byte base;
  final byte index;
  final byte scale;
  final long displacement;
  final byte segment;

  /** High bits of the offset that are dropped: 0, 32 or 48 by address size. */
  private final byte unusedBits;

  /** Outside 64-bit mode segment limits and types are checked. */
  final boolean checked;

  EffectiveAddress(
      int base, int index, int scale, long displacement, int segment, long mask, boolean checked) {
    this.base = (byte) base;
    this.index = (byte) index;
    this.scale = (byte) scale;
    this.displacement = displacement;
    this.segment = (byte) segment;
    this.unusedBits = (byte) Long.numberOfLeadingZeros(mask);
    this.checked = checked;
  }

  /** Wraps the offset: all ones, 0xFFFFFFFF or 0xFFFF by address size. */
  long mask() {
    return -1L >>> unusedBits;
  }

  /** The offset inside the segment (what LEA computes). */
  long offset(Vcpu c) {
    long[] gpr = c.gpr;
    return gpr[base] + (gpr[index] << scale) + displacement & mask();
  }

  /** The linear address of a read of one byte; see {@link #linear(Vcpu, int, boolean)}. */
  long linear(Vcpu c) {
    return linear(c, 1, false);
  }

  /**
   * The linear address of an access. Outside 64-bit mode the segment is checked: a violation leaves
   * #GP or #SS pending and answers an address at which every access does nothing.
   */
  long linear(Vcpu c, int sizeBytes, boolean write) {
    return checked ? checked(c, offset(c), sizeBytes, write) : offset(c) + c.segmentBase[segment];
  }

  /** As {@link #linear(Vcpu, int, boolean)}, {@code distance} bytes further on. */
  long linear(Vcpu c, int sizeBytes, boolean write, long distance) {
    long offset = offset(c) + distance & mask();
    return checked ? checked(c, offset, sizeBytes, write) : offset + c.segmentBase[segment];
  }

  private long checked(Vcpu c, long offset, int sizeBytes, boolean write) {
    return Segments.check(c, segment, offset, sizeBytes, write)
        ? offset + c.segmentBase[segment] & 0xFFFF_FFFFL
        : NOWHERE;
  }
}
