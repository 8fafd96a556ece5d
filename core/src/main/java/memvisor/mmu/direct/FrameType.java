package memvisor.mmu.direct;

/**
 * What a machine frame is used as. A frame has one type at a time and changes it only when nothing
 * refers to it by the old one.
 */
public enum FrameType {
  /** Nothing beyond read-only mappings. */
  NONE,
  /** Page table: its entries map pages. */
  L1,
  /** Page directory. */
  L2,
  /** Page-directory-pointer table. */
  L3,
  /** PML4. */
  L4,
  /** Segment descriptors. */
  SEGDESC,
  /** Mapped writable somewhere. */
  WRITABLE;

  private static final FrameType[] ALL = values();

  /** The table type of a level, 1 to 4. */
  public static FrameType table(int level) {
    return ALL[level];
  }

  /** The level of a table type; 0 for the others. */
  public int level() {
    return ordinal() <= L4.ordinal() ? ordinal() : 0;
  }
}
