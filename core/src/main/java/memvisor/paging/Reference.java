package memvisor.paging;

import memvisor.address.HostPhysicalAddress;

/**
 * One memory reference of a walk: the reading of one table entry.
 *
 * @param dimension which tables the entry belongs to
 * @param mode their format
 * @param level level of the entry, 1 (PTE) to 5 (PML5E)
 * @param address the entry's address in the space its tables live in: GPA for the first dimension
 *     under a partition or nested tables, else HPA
 * @param hpa where in machine memory it was read
 * @param entry its value
 * @param rights {@link Rights} accumulated in its dimension, this entry included
 */
public record Reference(
    Dimension dimension,
    PagingMode mode,
    int level,
    long address,
    HostPhysicalAddress hpa,
    long entry,
    int rights) {

  /** Which of the two dimensions of a walk. */
  public enum Dimension {
    /** The tables that translate linear addresses: the guest's, or the monitor's shadow of them. */
    FIRST,
    /** The tables that translate guest-physical addresses: EPT or NPT. */
    SECOND
  }

  /** The manual's name of the entry: {@code PML4E}, {@code EPT PDE}, {@code nPTE} … */
  public String name() {
    return mode.entryName(level);
  }

  @Override
  public String toString() {
    return "%-9s at 0x%x (%s) = %s, %s so far"
        .formatted(
            name(),
            address,
            hpa,
            EntryDescription.describe(mode, level, entry),
            Rights.describe(rights));
  }
}
