package memvisor.mmu;

/**
 * How the shadow technique spends memory and exits.
 *
 * @param pageLimit shadow pages alive at most, at least {@link #LEAST_PAGES}
 * @param unsynchronised whether the guest may write last-level tables unseen until it invalidates
 * @param largePages whether a guest's large page may become a 2 MiB shadow leaf
 * @param floodLimit tracked writes to one table without use after which it is taken for data
 */
public record ShadowOptions(
    int pageLimit, boolean unsynchronised, boolean largePages, int floodLimit) {
  /** Two paths of five levels, and room to move. */
  public static final int LEAST_PAGES = 32;

  /** 32 MiB of tables; a table that is written three times before it is used is being rebuilt. */
  public static final ShadowOptions DEFAULT = new ShadowOptions(8192, true, true, 3);

  /** Checks the ranges. */
  public ShadowOptions {
    if (pageLimit < LEAST_PAGES) {
      throw new IllegalArgumentException(
          "shadow paging needs at least %d shadow pages: pageLimit=%d"
              .formatted(LEAST_PAGES, pageLimit));
    }
    if (floodLimit < 1) {
      throw new IllegalArgumentException("floodLimit is at least 1: floodLimit=" + floodLimit);
    }
  }
}
