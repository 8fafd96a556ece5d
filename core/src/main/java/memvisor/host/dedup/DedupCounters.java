package memvisor.host.dedup;

/**
 * KSM's counters under KSM's names (Linux, admin-guide/mm/ksm).
 *
 * @param pagesShared frames that stand for several pages, or wait to
 * @param pagesSharing further pages on them: the frames saved
 * @param zeroPages pages on the page of zeroes, all of them saved
 * @param pagesUnshared pages of the last full scan whose contents nobody else had
 * @param pagesVolatile pages of the last full scan that had changed since the one before
 * @param pagesScanned pages looked at
 * @param fullScans times that all of a VM's pages were looked at
 * @param generalProfitBytes bytes saved less what the bookkeeping takes
 */
public record DedupCounters(
    long pagesShared,
    long pagesSharing,
    long zeroPages,
    long pagesUnshared,
    long pagesVolatile,
    long pagesScanned,
    long fullScans,
    long generalProfitBytes) {}
