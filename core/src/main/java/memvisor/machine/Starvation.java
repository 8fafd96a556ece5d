package memvisor.machine;

/**
 * How long a guest may wait for a frame while none is free.
 *
 * <p>One that finds no frame first gives back what it can itself, at the block boundary it then
 * stands at. If that is not enough, others may be giving back what they have: it waits for them,
 * but not for ever, so that VMs of which none has anything to give do not wait for each other.
 */
public final class Starvation {
  /** Between two tries: a few slices of the others. */
  public static final long PAUSE_NANOS = 2_000_000;

  /** Longer than the policy takes to have any VM compress or swap out what is asked of it. */
  private static final long LONGEST_NANOS = 10_000_000_000L;

  private long lastInstructions = -1;
  private long sinceNanos;

  /** What a guest that found no frame does. */
  public enum Advice {
    /** Try again at once: it has just come to its block boundary. */
    RETRY,
    /** Wait a little for others, then try again. */
    WAIT,
    /** Give up. */
    END
  }

  /**
   * What to do about a frame that is missing.
   *
   * @param instructions retired so far: by these progress is told
   * @param alone whether no other VM has memory that could become free
   */
  public Advice advice(long instructions, long nowNanos, boolean alone) {
    if (instructions != lastInstructions) {
      lastInstructions = instructions;
      sinceNanos = nowNanos;
      return Advice.RETRY;
    }
    return alone || nowNanos - sinceNanos > LONGEST_NANOS ? Advice.END : Advice.WAIT;
  }
}
