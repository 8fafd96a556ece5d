package memvisor.host.compress;

/**
 * What a {@link CompressedPool} holds and did.
 *
 * @param pages pages held now
 * @param sharing of these, pages that stand on an equal one's bytes
 * @param frames frames they take
 * @param bytes compressed bytes held
 * @param stored pages ever taken in
 * @param incompressible pages that were passed on
 * @param refusedFull pages refused because the pool was at its limit or machine memory was full
 */
public record CompressionCounters(
    long pages,
    long sharing,
    long frames,
    long bytes,
    long stored,
    long incompressible,
    long refusedFull) {}
