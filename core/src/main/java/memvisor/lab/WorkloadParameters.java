package memvisor.lab;

/**
 * How much of a workload to do.
 *
 * @param pages 4 KiB pages in the window of one address space: a power of two, 4 to 65,536
 * @param iterations how often, at least 1; the unit is the workload's
 * @param spaces address spaces, 1 to 64; only the switching workloads use more than one
 */
public record WorkloadParameters(int pages, long iterations, int spaces) {
  /** Rejects values outside their ranges. */
  public WorkloadParameters {
    if (pages < 4 || pages > 65_536 || Integer.bitCount(pages) != 1) {
      throw new IllegalArgumentException(
          "pages must be a power of two from 4 to 65536, not " + pages);
    }
    if (iterations < 1) {
      throw new IllegalArgumentException("iterations must be at least 1, not " + iterations);
    }
    if (spaces < 1 || spaces > 64) {
      throw new IllegalArgumentException("spaces must be 1 to 64, not " + spaces);
    }
  }
}
