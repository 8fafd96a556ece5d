package memvisor.host.compress;

/**
 * What a {@link CompressedPool} holds and did.
 *
 * @param pages pages held now
 * @param frames frames they take
 * @param bytes compressed bytes of these pages
 * @param stored pages ever taken in
 * @param incompressible pages that were passed on
 * @param refusedFull pages refused because the pool was at its limit or machine memory was full
 */
public record CompressionCounters(
    long pages, long frames, long bytes, long stored, long incompressible, long refusedFull) {}
