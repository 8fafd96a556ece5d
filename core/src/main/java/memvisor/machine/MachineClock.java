package memvisor.machine;

import java.util.function.LongSupplier;

/**
 * The clock of one VM: virtual time from retired instructions, or the host's time.
 *
 * <p>Read by the vCPU's thread only.
 */
public final class MachineClock {
  private static final long RUNNING = -1;

  private final ClockMode mode;
  private LongSupplier instructions = () -> 0;
  private final long startNanos = System.nanoTime();
  private long skippedNanos;
  private long pausedAtNanos = RUNNING;

  /** A clock at zero. Virtual time stands still until a vCPU is attached. */
  public MachineClock(ClockMode mode) {
    this.mode = mode;
  }

  /** Names the count of retired instructions that virtual time follows. */
  public void attach(LongSupplier retiredInstructions) {
    instructions = retiredInstructions;
  }

  /** How this clock runs. */
  public ClockMode mode() {
    return mode;
  }

  /** Nanoseconds since power-on. */
  public long nanos() {
    return switch (mode) {
      case VIRTUAL -> instructions.getAsLong() + skippedNanos;
      case REAL -> pausedAtNanos == RUNNING ? realNanos() : pausedAtNanos;
    };
  }

  private long realNanos() {
    return System.nanoTime() - startNanos + skippedNanos;
  }

  /** Stops real time until {@link #resume}; virtual time stands still with the vCPU anyway. */
  public void pause() {
    if (mode == ClockMode.REAL && pausedAtNanos == RUNNING) {
      pausedAtNanos = realNanos();
    }
  }

  /** Goes on from where {@link #pause} stopped it, as if no time had passed. */
  public void resume() {
    if (pausedAtNanos != RUNNING) {
      skippedNanos -= realNanos() - pausedAtNanos;
      pausedAtNanos = RUNNING;
    }
  }

  /** Virtual mode: moves an idle machine's time on to {@code deadlineNanos}. */
  public void skipTo(long deadlineNanos) {
    skippedNanos += Math.max(0, deadlineNanos - nanos());
  }
}
