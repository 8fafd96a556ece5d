package memvisor.paging;

/**
 * The port through which a {@link Walker} reaches table entries: the address space that its tables
 * live in.
 *
 * <p>A walk over HPA answers the address itself; the guest's walk under nested paging answers by
 * walking the nested tables, which is all that "two-dimensional" means.
 *
 * <p>An answer packs the HPA of the entry, which is at least 4-byte aligned, with {@link
 * #WRITABLE}. It must lie wholly in machine memory.
 */
public interface TableMemory {
  /** Set in an answer when accessed and dirty flags may be written at that HPA. */
  long WRITABLE = 1;

  /** The answer when the entry cannot be reached; the implementation remembers why. */
  long UNREACHABLE = -1;

  /** Where the entry at {@code address} is, for reading it. */
  long locate(long address);

  /**
   * Where the entry at {@code address} is, for setting its accessed or dirty flag. Asked only when
   * {@link #locate} gave an answer that was not {@link #WRITABLE}.
   */
  long locateForUpdate(long address);
}
