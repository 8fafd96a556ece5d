package memvisor.host.compress;

import org.jspecify.annotations.Nullable;

/** One frame of the pool, listed under its longest free run. */
final class PoolFrame {
  final long hpa;

  /** The chunks in use, one bit each. */
  long used;

  /** What begins in each chunk. */
  final @Nullable PooledPage[] pages = new PooledPage[PoolSpace.CHUNKS];

  int longestRun;
  @Nullable PoolFrame next;
  @Nullable PoolFrame previous;

  PoolFrame(long hpa) {
    this.hpa = hpa;
  }
}
