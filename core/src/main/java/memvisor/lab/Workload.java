package memvisor.lab;

/**
 * What the built-in guest does with its memory. Each stresses another part of translation, has a
 * measured section between two markers, and prints a checksum that no technique may change.
 */
public enum Workload {
  /** Copies one half of the window to the other, {@code iterations} times: streams, few misses. */
  SEQUENTIAL_COPY("copy", new WorkloadParameters(2048, 1, 1)),
  /** Updates {@code iterations} random words of the window: nearly every access misses the TLB. */
  RANDOM_UPDATE("random", new WorkloadParameters(4096, 60_000, 1)),
  /** Follows {@code iterations} pointers, each to another page: misses that wait for each other. */
  POINTER_CHASE("chase", new WorkloadParameters(4096, 100_000, 1)),
  /** Maps a page, touches it, unmaps it, {@code iterations} times: writes to tables and INVLPG. */
  MAP_CHURN("churn", new WorkloadParameters(256, 20_000, 1)),
  /** Switches {@code iterations} times between address spaces, which flushes the TLB each time. */
  SPACE_SWITCH("switch", new WorkloadParameters(32, 4_000, 8)),
  /** The same with a PCID for each space, so that translations survive the switch. */
  SPACE_SWITCH_PCID("switch-pcid", new WorkloadParameters(32, 4_000, 8)),
  /** Forks {@code iterations} times; parent and child then copy pages as they write to them. */
  COPY_ON_WRITE("cow", new WorkloadParameters(256, 24, 1));

  private final String label;
  private final WorkloadParameters defaults;

  Workload(String label, WorkloadParameters defaults) {
    this.label = label;
    this.defaults = defaults;
  }

  /** The short name a user types. */
  public String label() {
    return label;
  }

  /**
   * Parameters for a run of about a million instructions, over more pages than a TLB has entries
   * where misses are the point.
   */
  public WorkloadParameters defaults() {
    return defaults;
  }

  @Override
  public String toString() {
    return label;
  }
}
