/**
 * What the processor does between a linear address and a byte: TLBs with tags, paging-structure
 * caches, invalidation, and the {@link memvisor.tlb.TranslationUnit} that ties them to the walker.
 *
 * <p>Follows Intel SDM vol. 3A 4.10 and vol. 3C 29.4. This is the machine's half: the monitor
 * programs a root here and is told by a result when the hardware cannot go on. {@link
 * memvisor.tlb.TlbConfiguration} is the geometry, {@link memvisor.tlb.TlbCounters} what was
 * counted.
 *
 * <p>Translations that the manual allows to be stale are stale here too, within the geometry; but a
 * fault is always concluded from a fresh walk. The paging-structure caches hold addresses in the
 * space of the guest's tables, not HPA, so a nested invalidation need not touch them.
 */
package memvisor.tlb;
