package memvisor.machine;

import java.util.function.LongSupplier;

/**
 * The clock of one VM: virtual time from retired instructions, or the host's time.
 *
 * <p>Read by the vCPU's thread only.
 */
public final class MachineClock {
  private final ClockMode mode;
  private LongSupplier instructions = () -> 0;
  private final long startNanos = System.nanoTime();
  private long skippedNanos;

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
      case REAL -> System.nanoTime() - startNanos;
    };
  }

  /** Virtual mode: moves an idle machine's time on to {@code deadlineNanos}. */
  public void skipTo(long deadlineNanos) {
    skippedNanos += Math.max(0, deadlineNanos - nanos());
  }
}
