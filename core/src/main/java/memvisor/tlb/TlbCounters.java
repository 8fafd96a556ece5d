package memvisor.tlb;

/**
 * What a {@link TranslationUnit} has counted since it was made. Accesses that the vCPU's own
 * translation cache answered never reach the unit and are not counted here.
 *
 * @param accesses translations asked for
 * @param firstHits answered by a first-level TLB (instruction or data)
 * @param secondHits answered by the second-level TLB
 * @param walks walks started because no TLB answered
 * @param structureHits walks that a paging-structure cache let start below the root
 * @param references entries of the guest's (or host's) own tables read
 * @param nestedTlbHits guest-physical addresses answered by the nested TLB
 * @param nestedWalks walks of the second dimension
 * @param nestedStructureHits nested walks that a paging-structure cache shortened
 * @param nestedReferences nested table entries read
 * @param pageFaults translations that ended in a page fault
 * @param nestedFaults translations that ended in a fault of the second dimension or a limit
 * @param flushes invalidations of a whole address space or more
 * @param pageInvalidations invalidations of one page
 */
public record TlbCounters(
    long accesses,
    long firstHits,
    long secondHits,
    long walks,
    long structureHits,
    long references,
    long nestedTlbHits,
    long nestedWalks,
    long nestedStructureHits,
    long nestedReferences,
    long pageFaults,
    long nestedFaults,
    long flushes,
    long pageInvalidations) {

  /** Entries read in both dimensions. */
  public long allReferences() {
    return references + nestedReferences;
  }

  /** What was counted between an earlier snapshot and this one. */
  public TlbCounters since(TlbCounters earlier) {
    return new TlbCounters(
        accesses - earlier.accesses,
        firstHits - earlier.firstHits,
        secondHits - earlier.secondHits,
        walks - earlier.walks,
        structureHits - earlier.structureHits,
        references - earlier.references,
        nestedTlbHits - earlier.nestedTlbHits,
        nestedWalks - earlier.nestedWalks,
        nestedStructureHits - earlier.nestedStructureHits,
        nestedReferences - earlier.nestedReferences,
        pageFaults - earlier.pageFaults,
        nestedFaults - earlier.nestedFaults,
        flushes - earlier.flushes,
        pageInvalidations - earlier.pageInvalidations);
  }
}
