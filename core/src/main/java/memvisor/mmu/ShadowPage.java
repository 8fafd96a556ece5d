package memvisor.mmu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One shadow table: a frame of real entries in long-mode format, and what the monitor must know to
 * keep it true to the guest table it was derived from.
 */
final class ShadowPage {
  static final int ENTRIES = 512;

  /** Guest frame of the table, or the first frame of the run that a direct page maps. */
  final long gfn;

  final int role;

  /** The frame that hardware walks. */
  final long hpa;

  /** The guest entry that each present entry was derived from. */
  final long[] guestEntries = new long[ENTRIES];

  /** The guest frame that each present leaf maps (its first). */
  final long[] leafGfns;

  /** The shadow page that each present table entry leads to. */
  final @Nullable ShadowPage[] children;

  /** Entries elsewhere that lead here. */
  private ShadowPage[] parents = new ShadowPage[2];

  private int[] parentIndexes = new int[2];
  int parentCount;

  /** Level 1 only: the guest may write the table unseen until it invalidates translations. */
  boolean unsynchronised;

  /** Tracked writes since the page last helped to resolve a fault. */
  int writesWithoutUse;

  /** vCPUs whose root this is. */
  int rootUsers;

  /** Neighbours in the list of all pages, most recently used first. */
  @Nullable ShadowPage newer;

  @Nullable ShadowPage older;

  /** Next page in the hash bucket. */
  @Nullable ShadowPage nextInBucket;

  ShadowPage(long gfn, int role, long hpa) {
    this.gfn = gfn;
    this.role = role;
    this.hpa = hpa;
    this.leafGfns = level() <= ShadowLeaves.LEVELS ? new long[ENTRIES] : new long[0];
    this.children = new ShadowPage[level() > 1 ? ENTRIES : 0];
  }

  int level() {
    return ShadowRole.level(role);
  }

  boolean isDirect() {
    return ShadowRole.isDirect(role);
  }

  boolean isSynthetic() {
    return (role & ShadowRole.SYNTHETIC) != 0;
  }

  /** Whether it shadows a table in guest memory. */
  boolean isIndirect() {
    return !isDirect() && !isSynthetic();
  }

  @Nullable ShadowPage child(int index) {
    return children.length == 0 ? null : children[index];
  }

  /** Byte offset, in the guest table, of the entry behind shadow entry {@code index}. */
  int guestOffset(int index) {
    if (ShadowRole.guestLevels(role) != 2) {
      return index * 8;
    }
    int quadrant = ShadowRole.quadrant(role);
    return level() == 1 ? (quadrant * 512 + index) * 4 : (quadrant * 256 + (index >> 1)) * 4;
  }

  void addParent(ShadowPage parent, int index) {
    if (parentCount == parents.length) {
      parents = Arrays.copyOf(parents, parentCount * 2);
      parentIndexes = Arrays.copyOf(parentIndexes, parentCount * 2);
    }
    parents[parentCount] = parent;
    parentIndexes[parentCount++] = index;
  }

  void removeParent(ShadowPage parent, int index) {
    for (int i = 0; i < parentCount; i++) {
      if (parents[i] == parent && parentIndexes[i] == index) {
        parents[i] = parents[--parentCount];
        parentIndexes[i] = parentIndexes[parentCount];
        return;
      }
    }
    throw new IllegalStateException(
        "shadow page has no such parent: gfn=0x%x index=%d".formatted(gfn, index));
  }

  ShadowPage lastParent() {
    return parents[parentCount - 1];
  }

  int lastParentIndex() {
    return parentIndexes[parentCount - 1];
  }

  ShadowPage parent(int i) {
    return parents[i];
  }
}
