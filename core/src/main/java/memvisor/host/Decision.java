package memvisor.host;

/**
 * One thing reclaim did, and why.
 *
 * @param timeNanos when, in nanoseconds since the machine was made
 * @param vmId whose pages
 * @param step what was done
 * @param pages how many pages it was done to
 * @param reason because of what
 */
public record Decision(long timeNanos, int vmId, Step step, long pages, String reason) {
  /** What reclaim can do, mildest first. */
  public enum Step {
    /** Merged equal pages and pages of zeroes. */
    MERGE("merged"),
    /** Compressed cold pages in memory. */
    COMPRESS("compressed"),
    /** Wrote cold pages to the swap file. */
    SWAP("swapped out"),
    /** Found nothing more to take. */
    GIVE_UP("gave up on");

    private final String verb;

    Step(String verb) {
      this.verb = verb;
    }
  }

  @Override
  public String toString() {
    return "%.3f s: %s %d pages of vm %d because %s"
        .formatted(timeNanos / 1e9, step.verb, pages, vmId, reason);
  }
}
