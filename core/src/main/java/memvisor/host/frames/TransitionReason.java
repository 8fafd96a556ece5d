package memvisor.host.frames;

/** Why a frame last changed hands. */
public enum TransitionReason {
  /** Not touched since the machine was made. */
  INITIAL,
  /** A guest page was touched for the first time. */
  POPULATED,
  /** A technique asked for a table. */
  TABLE,
  /** A guest page moved here. */
  MOVED,
  /** Moved into one block of 2 MiB with its neighbours. */
  COLLAPSED,
  /** Moved out of the way, so that a block of 2 MiB becomes free. */
  COMPACTED,
  /** Merged into the one page of zeroes. */
  ZERO_MERGED,
  /** Read before it was ever written: the one page of zeroes serves. */
  ZERO_READ,
  /** Merged with pages of equal content. */
  DEDUPLICATED,
  /** Offered for sharing: the first page of its content. */
  SHARED,
  /** Written while shared: the page became private again. */
  UNSHARED,
  /** Cold, and the same word over and over: kept as that word. */
  SAME_FILLED,
  /** Cold: compressed. */
  COMPRESSED,
  /** Cold, and like another page in the pool: kept as a patch to it. */
  PATCHED,
  /** Cold, and would not compress: in the pool as it is, for others to be patches to it. */
  KEPT_WHOLE,
  /** Accessed while compressed, a patch, or kept whole. */
  DECOMPRESSED,
  /** Cold: written to the swap file. */
  SWAPPED_OUT,
  /** Compressed for long, and the pool needed room: written to the swap file. */
  WRITTEN_BACK,
  /** Accessed while in the swap file. */
  SWAPPED_IN,
  /** Overwritten as a whole by a device: what it held elsewhere was dropped unread. */
  OVERWRITTEN,
  /** Taken for compressed pages. */
  POOL_GREW,
  /** Handed to the balloon by the guest. */
  BALLOONED,
  /** Reported by the guest as free. */
  REPORTED_FREE,
  /** A hole in a partition's run: unusable, but inside base and limit. */
  PARTITION_HOLE,
  /** Given back while its VM lives on. */
  FREED,
  /** Given back because its VM ended. */
  VM_CLOSED
}
