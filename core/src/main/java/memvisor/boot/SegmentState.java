package memvisor.boot;

/**
 * A segment register as a vCPU starts with it, hidden part included (Intel SDM 3, 3.4.3).
 *
 * @param selector visible part
 * @param base base address
 * @param limit limit in bytes, granularity applied, as an unsigned 32-bit value
 * @param attributes descriptor bits 40–55 in place 0–15: type, S, DPL, P, limit 19:16, AVL, L, D/B,
 *     G; 0 is unusable
 */
public record SegmentState(int selector, long base, int limit, int attributes) {}
