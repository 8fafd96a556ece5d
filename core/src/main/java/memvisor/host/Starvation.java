package memvisor.host;

import memvisor.host.frames.Ledger;

/**
 * How long whoever needs a frame waits while none is free.
 *
 * <p>One that finds no frame first gives back what its VM can, at a block boundary. If that is not
 * enough, others may be giving back what they have: it waits for them as long as frames become free
 * somewhere, but not for ever, so that VMs of which none has anything to give do not wait for each
 * other.
 */
public final class Starvation {
  /** Between two tries: a few slices of the others. */
  public static final long PAUSE_NANOS = 2_000_000;

  /** While nobody gives anything back: longer than the policy takes to have a VM do so. */
  static final long LONGEST_STILL_NANOS = 10_000_000_000L;

  /** While others do give back, and somebody else always gets it. */
  static final long LONGEST_NANOS = 120_000_000_000L;

  private final HostMemory host;
  private final int vmId;
  private long lastProgress = -1;
  private long lastElsewhere;
  private long progressNanos;
  private long returnedNanos;

  /** What one that found no frame does. */
  public enum Advice {
    /** Try again at once: its VM has just come to a block boundary. */
    RETRY,
    /** Wait a little for others, then try again. */
    WAIT,
    /** Give up. */
    END
  }

  /** For a VM that takes frames from {@code host}. */
  public Starvation(HostMemory host, int vmId) {
    this.host = host;
    this.vmId = vmId;
  }

  /**
   * What to do about a frame that is missing.
   *
   * @param progress what has been done so far, such as instructions retired: 0 and up
   * @param nowNanos of {@link System#nanoTime}
   */
  public Advice advice(long progress, long nowNanos) {
    return advice(progress, nowNanos, host.vmCount() == 1, framesElsewhere());
  }

  private long framesElsewhere() {
    Ledger ledger = host.ledger();
    return ledger.frameCount() - (host.freeBytes() >>> 12) - ledger.usage(vmId).total();
  }

  /**
   * As above.
   *
   * @param alone whether no other VM has memory that could become free
   * @param elsewhere frames in use that are not the VM's own: fewer than before, and there is hope
   */
  Advice advice(long progress, long nowNanos, boolean alone, long elsewhere) {
    boolean first = progress != lastProgress;
    if (first || elsewhere < lastElsewhere) {
      returnedNanos = nowNanos;
    }
    lastElsewhere = elsewhere;
    if (first) {
      lastProgress = progress;
      progressNanos = nowNanos;
      return Advice.RETRY;
    }
    boolean tooLong =
        nowNanos - returnedNanos > LONGEST_STILL_NANOS || nowNanos - progressNanos > LONGEST_NANOS;
    return alone || tooLong ? Advice.END : Advice.WAIT;
  }
}
