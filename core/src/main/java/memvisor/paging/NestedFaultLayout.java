package memvisor.paging;

import memvisor.address.Access;

/** How the second dimension reports an access that it stopped. */
public enum NestedFaultLayout {
  /**
   * Exit qualification for EPT violations (Intel SDM vol. 3C, table 28-7).
   *
   * <pre>
   *   bits 0–2  the access was a data read, a data write, an instruction fetch
   *   bits 3–5  the entries used allow reading, writing, fetching (their logical AND)
   *   bit  7    the guest linear address is valid
   *   bit  8    the access was to the translation of the linear address, not to a paging-structure entry
   * </pre>
   */
  EPT_VIOLATION {
    @Override
    public long encode(int access, int outcome, int rights, boolean finalAccess) {
      boolean write = (access & Access.WRITE) != 0;
      boolean fetch = (access & Access.FETCH) != 0;
      boolean read = !write && !fetch || (access & TABLE_READ_AND_WRITE) == TABLE_READ_AND_WRITE;
      return (read ? 1 : 0)
          | (write ? 1L << 1 : 0)
          | (fetch ? 1L << 2 : 0)
          | (long) (rights & 3) << 3
          | ((rights & Rights.EXECUTE) != 0 ? 1L << 5 : 0)
          | 1L << 7
          | (finalAccess ? 1L << 8 : 0);
    }
  },

  /**
   * EXITINFO1 of a nested page fault (AMD APM vol. 2, 15.25.6): a page-fault error code, with bit
   * 32 for the final address and bit 33 for a guest page table.
   */
  NESTED_PAGE_FAULT {
    @Override
    public long encode(int access, int outcome, int rights, boolean finalAccess) {
      return AccessRules.NPT.errorCode(access | Access.USER, outcome)
          | (finalAccess ? 1L << 32 : 1L << 33);
    }
  };

  /**
   * The access to guest paging structures when accessed and dirty flags are on in the second
   * dimension: it counts as a write, and the qualification reports a read as well (SDM vol. 3C,
   * table 28-7, note to bits 0 and 1).
   */
  static final int TABLE_READ_AND_WRITE = Access.WRITE | 1 << 16;

  /**
   * Packs one fault.
   *
   * @param access the access, in {@link Access} bits
   * @param outcome why, as {@link Walker} says it
   * @param rights what the entries up to the one that stopped the walk allow
   * @param finalAccess true for the byte itself, false for an entry of the guest's tables
   */
  public abstract long encode(int access, int outcome, int rights, boolean finalAccess);
}
