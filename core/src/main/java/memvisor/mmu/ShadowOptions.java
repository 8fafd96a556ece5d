package memvisor.mmu;

import memvisor.address.PageSize;

/**
 * How the shadow technique spends memory and exits.
 *
 * @param pageLimit shadow pages alive at most, at least {@link #LEAST_PAGES}
 * @param unsynchronised whether the guest may write last-level tables unseen until it invalidates
 * @param maxPageSize the largest leaf: 4 KiB, 2 MiB or 1 GiB
 * @param floodLimit tracked writes to one table without use after which it is taken for data
 */
public record ShadowOptions(
    int pageLimit, boolean unsynchronised, PageSize maxPageSize, int floodLimit) {
  /** Two paths of five levels, and room to move. */
  public static final int LEAST_PAGES = 32;

  /** 32 MiB of tables; a table that is written three times before it is used is being rebuilt. */
  public static final ShadowOptions DEFAULT = new ShadowOptions(8192, true, PageSize.SIZE_1G, 3);

  /** Checks the ranges. */
  public ShadowOptions {
    if (pageLimit < LEAST_PAGES) {
      throw new IllegalArgumentException(
          "shadow paging needs at least %d shadow pages: pageLimit=%d"
              .formatted(LEAST_PAGES, pageLimit));
    }
    if (maxPageSize == PageSize.SIZE_4M) {
      throw new IllegalArgumentException("shadow tables are long-mode tables: no 4 MiB pages");
    }
    if (floodLimit < 1) {
      throw new IllegalArgumentException("floodLimit is at least 1: floodLimit=" + floodLimit);
    }
  }

  /** Levels of the shadow tables that may hold leaves: 1, 2 or 3. */
  int leafLevels() {
    return (maxPageSize.sizeLog2() - 12) / 9 + 1;
  }
}
