package memvisor.host.swap;

/**
 * What a {@link SwapFile} holds and did.
 *
 * @param slots size of the file in pages
 * @param used slots in use
 * @param pagesOut pages ever written
 * @param writes write operations they took
 * @param pagesIn pages ever read back
 * @param reads read operations they took
 * @param readAheadHits pages that an earlier read had brought along
 * @param readsRepeated reads that were tried again after a failure or a wrong checksum
 * @param failures operations that failed
 * @param lastFailure the last failure in words, or an empty string
 */
public record SwapCounters(
    long slots,
    long used,
    long pagesOut,
    long writes,
    long pagesIn,
    long reads,
    long readAheadHits,
    long readsRepeated,
    long failures,
    String lastFailure) {}
