package memvisor.host.policy;

/**
 * One thing that was done to a VM's memory, and why.
 *
 * @param timeNanos when, in nanoseconds since the machine was made
 * @param vmId whose pages; {@link #MACHINE} where it concerns all
 * @param step what was done
 * @param pages how many pages of 4 KiB it was done to
 * @param reason because of what
 */
public record Decision(long timeNanos, int vmId, Step step, long pages, String reason) {
  /** No VM in particular. */
  public static final int MACHINE = 0;

  /** What can be done, mildest first. */
  public enum Step {
    /** Merged equal pages and pages of zeroes. */
    MERGE("merged %d pages of %s"),
    /** Asked the guest to give pages up. */
    BALLOON("asked the balloon for %d pages of %s"),
    /** Let the guest have pages back. */
    DEFLATE("gave %d pages back to %s"),
    /** Compressed cold pages in memory. */
    COMPRESS("compressed %d pages of %s"),
    /** Compressed pages of a VM that had not used them for long, although nothing was short. */
    TRIM("trimmed %d pages of %s"),
    /** Wrote cold pages to the swap file. */
    SWAP("swapped out %d pages of %s"),
    /** Found nothing more to take. */
    GIVE_UP("gave up on %2$s (took %1$d pages)"),
    /** Found that a balloon broke its contract. */
    BREACH("turned from the balloon of %2$s (it owes %1$d pages)"),
    /** Noticed that a VM spends its time waiting for pages it had before. */
    STORM("named %2$s in a swap storm (%1$d refaults a second)"),
    /** The state of the machine changed. */
    STATE("changed state with %d free frames of %s"),
    /** Let a VM in, or not. */
    ADMISSION("judged the admission of %d pages for %s");

    private final String phrase;

    Step(String phrase) {
      this.phrase = phrase;
    }
  }

  /** The decision as one sentence, with a name for the VM. */
  public String sentence(String who) {
    return step.phrase.formatted(pages, who) + " because " + reason;
  }

  @Override
  public String toString() {
    String who = vmId == MACHINE ? "the machine" : "vm " + vmId;
    return "%.3f s: %s".formatted(timeNanos / 1e9, sentence(who));
  }
}
