package memvisor.cpu.jit;

/**
 * What the translator of one vCPU has done.
 *
 * @param blocks blocks translated alone
 * @param regions translations of several blocks
 * @param retranslations of these, translations of code that had been translated before
 * @param evictions translations dropped to keep within the memory allowed
 * @param liveCodeBytes class files in use
 */
public record JitCounters(
    long blocks, long regions, long retranslations, long evictions, long liveCodeBytes) {}
