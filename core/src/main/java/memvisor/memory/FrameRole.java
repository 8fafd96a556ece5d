package memvisor.memory;

/** What a host frame is used for, as the ledger records it. */
public enum FrameRole {
  /** Owned by nobody. */
  FREE,
  /** Holds a page of guest memory. */
  GUEST_PAGE,
  /** A shadow page table. */
  SHADOW_TABLE,
  /** An EPT, NPT or stage-2 table. */
  NESTED_TABLE,
  /** A page that direct paging shows to its guest: machine-to-physical table, shared_info. */
  MONITOR_PAGE,
  /** The frame of zeroes that untouched guest pages share. */
  ZERO_PAGE,
  /** Holds a page that several guest frames share, copied when one of them is written. */
  SHARED,
  /** Holds compressed pages. */
  COMPRESSED_POOL,
  /** Owned, but used for nothing: a hole inside the run of a partition. */
  RESERVED
}
