package memvisor.machine.inspect;

/**
 * A page that the guest's own tables map.
 *
 * @param address its first address as the tables' indexes give it: not sign-extended
 * @param gva the same, canonical
 * @param gpa what it is mapped to
 * @param sizeLog2 binary logarithm of its size in bytes
 * @param entry the entry that maps it, level 1 (PTE) to 3 (PDPTE)
 * @param rights {@link memvisor.paging.Rights} that all entries on the way grant together
 */
public record Leaf(long address, long gva, long gpa, int sizeLog2, long entry, int rights) {}
