package memvisor.lab;

import memvisor.address.PageSize;
import memvisor.paging.PagingMode;

/**
 * The shape of a page walk.
 *
 * @param guest format of the guest's tables: one of the four of ordinary paging
 * @param guestPage size of the page that the guest maps
 * @param nestedLevels levels of EPT: 4, 5, or 0 for none (a computer without a monitor, or shadow)
 * @param nestedPage size of the pages that EPT maps
 */
public record WalkShape(
    PagingMode guest, PageSize guestPage, int nestedLevels, PageSize nestedPage) {
  private static final int GIGABYTE_LEVEL = 3;

  /**
   * Rejects shapes that do not exist.
   *
   * @throws IllegalArgumentException with a sentence for the user
   */
  public WalkShape {
    if (guest.isNested()) {
      throw new IllegalArgumentException(guest + " is not a format of a guest's own tables");
    }
    if (nestedLevels != 0 && nestedLevels != 4 && nestedLevels != 5) {
      throw new IllegalArgumentException(
          "nested tables have 4 or 5 levels (0 for none), not " + nestedLevels);
    }
    if (nestedPage == PageSize.SIZE_4M) {
      throw new IllegalArgumentException("nested tables map pages of 4K, 2M or 1G, not 4M");
    }
    if (!exists(guest, guestPage)) {
      throw new IllegalArgumentException(
          switch (guest) {
            case BITS_32 -> "32-bit paging maps pages of 4K or 4M";
            case PAE -> "PAE paging maps pages of 4K or 2M";
            default -> "4-level and 5-level paging map pages of 4K, 2M or 1G";
          });
    }
  }

  private static boolean exists(PagingMode guest, PageSize page) {
    return switch (page) {
      case SIZE_4K -> true;
      case SIZE_4M -> guest == PagingMode.BITS_32;
      case SIZE_2M -> guest != PagingMode.BITS_32;
      case SIZE_1G -> guest.levels() >= GIGABYTE_LEVEL;
    };
  }

  /** Table entries that one walk reads when nothing is cached. */
  public int coldReferences() {
    int guestEntries = guest.levels() - levelOf(guestPage) + 1;
    int nestedEntries = nestedLevels == 0 ? 0 : nestedLevels - levelOf(nestedPage) + 1;
    return (guestEntries + 1) * (nestedEntries + 1) - 1;
  }

  /** The level whose entry maps a page of that size. */
  static int levelOf(PageSize page) {
    return switch (page) {
      case SIZE_4K -> 1;
      case SIZE_2M, SIZE_4M -> 2;
      case SIZE_1G -> GIGABYTE_LEVEL;
    };
  }
}
