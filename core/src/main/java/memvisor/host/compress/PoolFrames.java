package memvisor.host.compress;

/** Where a {@link CompressedPool} gets its frames from. */
public interface PoolFrames {
  /** A frame's HPA, or -1 if there is none. */
  long take();

  /** Gives a frame back. */
  void give(long hpa);
}
