package memvisor.host.compress;

/**
 * What a {@link CompressedPool} holds and did.
 *
 * @param pages guest pages held now
 * @param sharing of these, pages that stand on an equal one's bytes
 * @param patches of these, pages kept as patches to similar ones
 * @param patchBytes of the bytes held, those of patches
 * @param wholes pages kept as they are, for others to be patches to
 * @param kept pages that no guest has there any more, kept because patches stand on them
 * @param frames frames they take
 * @param bytes bytes held
 * @param stored pages ever taken in
 * @param incompressible pages that were passed on
 * @param refusedFull pages refused because the pool was at its limit or machine memory was full
 */
public record CompressionCounters(
    long pages,
    long sharing,
    long patches,
    long patchBytes,
    long wholes,
    long kept,
    long frames,
    long bytes,
    long stored,
    long incompressible,
    long refusedFull) {}
