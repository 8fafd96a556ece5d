/**
 * What the processor does between a linear address and a byte: TLBs with tags, paging-structure
 * caches, invalidation, and the {@link memvisor.tlb.TranslationUnit} that ties them to the walker.
 *
 * <p>Follows Intel SDM vol. 3A 4.10 and vol. 3C 29.4. This is the machine's half: the monitor
 * programs a root here and is told by a result when the hardware cannot go on.
 */
package memvisor.tlb;
