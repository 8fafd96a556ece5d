package memvisor.cpu.x86;

/**
 * A memory operand: {@code segment:[base + index << scale + displacement]} (Intel SDM vol. 1,
 * 3.7.5).
 *
 * <p>An absent base or index is register {@link Vcpu#ZERO}; a RIP-relative operand uses {@link
 * Vcpu#BLOCK} as its base, with the distance from the block's start folded into the displacement.
 */
final class EffectiveAddress {
  final int base;
  final int index;
  final int scale;
  final long displacement;
  final int segment;

  /** Wraps the offset: all ones, 0xFFFFFFFF or 0xFFFF by address size. */
  final long mask;

  /** Outside 64-bit mode segment limits and types are checked. */
  final boolean checked;

  EffectiveAddress(
      int base, int index, int scale, long displacement, int segment, long mask, boolean checked) {
    this.base = base;
    this.index = index;
    this.scale = scale;
    this.displacement = displacement;
    this.segment = segment;
    this.mask = mask;
    this.checked = checked;
  }

  /** The offset inside the segment (what LEA computes). */
  long offset(Vcpu c) {
    long[] gpr = c.gpr;
    return gpr[base] + (gpr[index] << scale) + displacement & mask;
  }

  /** The linear address. Outside 64-bit mode the caller has checked the segment first. */
  long linear(Vcpu c) {
    long linear = offset(c) + c.segmentBase[segment];
    return checked ? linear & 0xFFFF_FFFFL : linear;
  }
}
