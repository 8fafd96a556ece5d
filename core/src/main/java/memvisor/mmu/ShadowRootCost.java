package memvisor.mmu;

/**
 * What the shadow of one guest root (one process) costs.
 *
 * @param rootGfn guest frame of the guest's top table
 * @param tables host frames of all shadow tables that the root leads to, itself included
 * @param exclusiveTables those of them that no other root leads to
 */
public record ShadowRootCost(long rootGfn, int tables, int exclusiveTables) {}
