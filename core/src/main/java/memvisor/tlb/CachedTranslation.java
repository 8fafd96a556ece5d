package memvisor.tlb;

import memvisor.paging.Rights;

/**
 * One TLB entry as people see it.
 *
 * @param tlb which TLB holds it: {@code L1I}, {@code L1D}, {@code L2}
 * @param pageGva first address it covers
 * @param sizeLog2 binary logarithm of the size it covers
 * @param hpa where that is in machine memory
 * @param gpa the guest-physical address it was derived from, -1 if there is none
 * @param rights {@link Rights} of the first dimension
 * @param dirty whether writes may use it without setting a dirty flag
 * @param global whether it outlives a change of PCID
 */
public record CachedTranslation(
    String tlb,
    long pageGva,
    int sizeLog2,
    long hpa,
    long gpa,
    int rights,
    boolean dirty,
    boolean global) {
  @Override
  public String toString() {
    return "%s: 0x%x → hpa 0x%x, %d KiB, %s%s%s"
        .formatted(
            tlb,
            pageGva,
            hpa,
            1L << sizeLog2 - 10,
            Rights.describe(rights),
            dirty ? ", dirty" : "",
            global ? ", global" : "");
  }
}
