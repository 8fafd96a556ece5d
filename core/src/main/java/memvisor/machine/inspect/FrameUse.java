package memvisor.machine.inspect;

import java.util.Optional;
import java.util.OptionalLong;
import memvisor.mmu.direct.FrameType;

/**
 * What a machine frame of a guest under direct paging is in use as.
 *
 * @param mfn the frame
 * @param type its type; empty for a frame that is the monitor's
 * @param count references to it
 * @param typeCount references to it as its type
 * @param pinned whether the guest pinned it
 * @param pfn the guest frame that the machine-to-physical table, which the guest keeps, says it is
 * @param back the machine frame that the monitor's own map has for that guest frame: {@code mfn}
 *     again, unless the guest changed the table
 */
public record FrameUse(
    long mfn,
    Optional<FrameType> type,
    int count,
    int typeCount,
    boolean pinned,
    OptionalLong pfn,
    OptionalLong back) {

  /** Type and counts in words. */
  String use() {
    return type.isEmpty()
        ? "the monitor's"
        : type.get() == FrameType.NONE
            ? "of no type, %s in all".formatted(references(count))
            : "%s: %s as that, %s in all%s"
                .formatted(
                    name(type.get()),
                    references(typeCount),
                    references(count),
                    pinned ? ", pinned" : "");
  }

  private static String name(FrameType type) {
    return switch (type) {
      case NONE -> "nothing";
      case L1, L2, L3, L4 -> "a table of level " + type.ordinal();
      case SEGDESC -> "segment descriptors";
      case WRITABLE -> "writable";
    };
  }

  private static String references(int count) {
    return count == 1 ? "1 reference" : count + " references";
  }

  /** Both maps in words. */
  String maps() {
    return pfn.isEmpty()
        ? "M2P: machine frame 0x%x is none of the guest's physical map".formatted(mfn)
        : "M2P: machine frame 0x%x is guest frame 0x%x; P2M: guest frame 0x%x is machine frame 0x%x"
            .formatted(mfn, pfn.getAsLong(), pfn.getAsLong(), back.orElse(-1));
  }
}
