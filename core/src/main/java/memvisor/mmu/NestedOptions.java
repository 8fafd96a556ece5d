package memvisor.mmu;

import memvisor.address.PageSize;

/**
 * How the nested technique builds its tables.
 *
 * @param levels 4 or 5
 * @param maxPageSize the largest leaf: 4 KiB, 2 MiB or 1 GiB
 * @param amd NPT entries instead of EPT entries
 */
public record NestedOptions(int levels, PageSize maxPageSize, boolean amd) {
  /** EPT with four levels and leaves as large as the backing allows. */
  public static final NestedOptions DEFAULT = new NestedOptions(4, PageSize.SIZE_1G, false);

  /** Checks the ranges. */
  public NestedOptions {
    if (levels != 4 && levels != 5) {
      throw new IllegalArgumentException("nested tables have 4 or 5 levels: levels=" + levels);
    }
    if (maxPageSize == PageSize.SIZE_4M) {
      throw new IllegalArgumentException("no nested format has 4 MiB pages");
    }
  }
}
