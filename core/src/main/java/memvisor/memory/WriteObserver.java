package memvisor.memory;

/**
 * Who must hear of guest memory that changed behind the vCPUs' backs (DMA, loaders, the monitor):
 * decoded code of that range is stale, and a shadow of a guest table in it is out of step.
 */
@FunctionalInterface
public interface WriteObserver {
  /** Nobody listens. */
  WriteObserver NONE = (gpa, lengthBytes) -> {};

  /**
   * The bytes {@code [gpa, gpa + lengthBytes)} have changed.
   *
   * <p>Called after the change, on the thread that made it, with no lock held.
   */
  void written(long gpa, long lengthBytes);
}
