package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * Memory operands seen lately, so that operations have equal ones in common: there are few of them,
 * and they stay in the host's caches. Not for several threads.
 */
final class AddressPool {
  private static final int ENTRIES = 2048;

  private final @Nullable EffectiveAddress[] seen = new @Nullable EffectiveAddress[ENTRIES];

  /** An operand as {@link EffectiveAddress} describes it, new or not. */
  EffectiveAddress get(
      int base, int index, int scale, long displacement, int segment, long mask, boolean checked) {
    long hash = displacement * 31 + base;
    hash = (hash * 31 + index) * 31 + (scale << 3 | segment);
    int slot = (int) (hash * 0x9E37_79B9_7F4A_7C15L >>> 53);
    EffectiveAddress known = seen[slot];
    if (known == null
        || known.base != base
        || known.index != index
        || known.scale != scale
        || known.displacement != displacement
        || known.segment != segment
        || known.mask() != mask
        || known.checked != checked) {
      known = new EffectiveAddress(base, index, scale, displacement, segment, mask, checked);
      seen[slot] = known;
    }
    return known;
  }
}
