package memvisor.paging;

/**
 * Table entries in the manual's letters, for people.
 *
 * <p>{@code PTE 0x8000000003c2f867: P RW US A D NX pfn=0x3c2f}; for EPT {@code EPT PTE 0x3c2fb77: R
 * W X WB A D pfn=0x3c2f}.
 */
public final class EntryDescription {
  /** Names of the bits of an x86 entry; bit 63 is named apart. */
  private static final String[] X86_BITS = {"P", "RW", "US", "PWT", "PCD", "A"};

  private static final String[] EPT_BITS = {"R", "W", "X"};

  /** Memory types by encoding (SDM vol. 3A, table 12-2; 2, 3 and 7 are reserved). */
  private static final String[] MEMORY_TYPES = {
    "UC", "WC", "type2", "type3", "WT", "WP", "WB", "type7"
  };

  private EntryDescription() {}

  /**
   * Describes one entry.
   *
   * @param mode the format it belongs to
   * @param level its level, 1 to 5
   * @param entry its value
   */
  public static String describe(PagingMode mode, int level, long entry) {
    StringBuilder text = new StringBuilder(mode.entryName(level));
    text.append(" 0x").append(Long.toHexString(entry)).append(':');
    boolean present = mode.isEpt() ? (entry & 7) != 0 : (entry & 1) != 0;
    if (!present) {
      return text.append(" not present").toString();
    }
    boolean leaf = level == 1 || level <= 3 && (entry & 1 << 7) != 0;
    if (mode.isEpt()) {
      ept(text, entry, leaf);
    } else {
      x86(text, level, entry, leaf);
    }
    return text.append(" pfn=0x")
        .append(Long.toHexString(frame(mode, entry, leaf, level)))
        .toString();
  }

  private static long frame(PagingMode mode, long entry, boolean leaf, int level) {
    if (mode == PagingMode.BITS_32) {
      boolean large = leaf && level == 2;
      return large ? entry >>> 12 & 0xFFC00 | (entry >>> 13 & 0xFF) << 20 : entry >>> 12 & 0xFFFFF;
    }
    long below = leaf ? (1L << 9 * (level - 1)) - 1 : 0;
    return entry >>> 12 & 0xFF_FFFF_FFFFL & ~below;
  }

  private static void x86(StringBuilder text, int level, long entry, boolean leaf) {
    bits(text, entry, X86_BITS);
    if (leaf) {
      bit(text, entry, 6, "D");
      bit(text, entry, level == 1 ? 7 : 12, "PAT");
      bit(text, entry, 8, "G");
    }
    if (level > 1) {
      bit(text, entry, 7, "PS");
    }
    bit(text, entry, 63, "NX");
  }

  private static void ept(StringBuilder text, long entry, boolean leaf) {
    bits(text, entry, EPT_BITS);
    if (leaf) {
      text.append(' ').append(MEMORY_TYPES[(int) (entry >>> 3) & 7]);
      bit(text, entry, 6, "IPAT");
    }
    bit(text, entry, 8, "A");
    if (leaf) {
      bit(text, entry, 9, "D");
    }
  }

  private static void bits(StringBuilder text, long entry, String[] names) {
    for (int i = 0; i < names.length; i++) {
      bit(text, entry, i, names[i]);
    }
  }

  private static void bit(StringBuilder text, long entry, int position, String name) {
    if ((entry >>> position & 1) != 0) {
      text.append(' ').append(name);
    }
  }
}
