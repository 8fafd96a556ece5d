package memvisor.cpu.jit;

/**
 * What the translator of one vCPU has done.
 *
 * @param blocks blocks translated alone
 * @param regions translations of several blocks
 * @param hot of blocks and regions, those translated again after they had run for long
 * @param adoptions translations found in the library: of another guest, or of code that came back
 * @param retranslations of blocks and regions, translations of code that had been translated before
 * @param evictions translations dropped to keep within the memory allowed
 * @param liveCodeBytes class files in use
 */
public record JitCounters(
    long blocks,
    long regions,
    long hot,
    long adoptions,
    long retranslations,
    long evictions,
    long liveCodeBytes) {}
