package memvisor.mmu;

/**
 * One entry of a derived (shadow or nested) table on the way to an address, for explanations.
 *
 * @param level 1 for the last level, counted upwards
 * @param tableHpa host physical address of the table
 * @param index index of the entry in the table
 * @param value the entry in the bit format of its table
 * @param role what the table is derived from and under which conditions it is valid
 */
public record DerivedEntry(int level, long tableHpa, int index, long value, String role) {
  /** Host physical address of the entry itself. */
  public long entryHpa() {
    return tableHpa + 8L * index;
  }
}
