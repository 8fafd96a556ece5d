package memvisor.host;

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
  /** A hole in a partition's run: unusable, but inside base and limit. */
  PARTITION_HOLE,
  /** Given back while its VM lives on. */
  FREED,
  /** Given back because its VM ended. */
  VM_CLOSED
}
