package memvisor.app.cli.run;

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Optional;
import memvisor.device.ByteSink;
import memvisor.machine.ConsoleLines;
import memvisor.machine.RunOutcome;

/** Passes on what the guest prints, and calls when a Linux panic is over. */
final class ConsoleWatch implements ByteSink {
  private static final long FLUSH_NANOS = 50_000_000;

  private final PrintStream out;
  private final Runnable onPanic;
  private final ConsoleLines lines = new ConsoleLines();

  /** Writes to {@code out}; calls {@code onPanic} once the kernel has said all about its panic. */
  ConsoleWatch(OutputStream out, Runnable onPanic) {
    this.out = new PrintStream(out, false);
    this.onPanic = onPanic;
  }

  @Override
  public void accept(int value) {
    out.write(value);
    lines.accept(value);
    if (value == '\n') {
      out.flush();
      if (lines.isPanicOver()) {
        onPanic.run();
      }
    }
  }

  /** Shows what was written without a line end; false if nobody reads it any more. */
  boolean flush() {
    return !out.checkError();
  }

  /** A machine's {@code run}: at most so many instructions and nanoseconds of wall time. */
  interface Runs {
    RunOutcome run(long maxInstructions, long maxNanos);
  }

  /**
   * Runs a machine that writes here. A prompt has no line end: what the guest wrote is shown a few
   * times a second anyway.
   */
  RunOutcome runFlushing(Runs machine, long maxNanos) {
    long started = System.nanoTime();
    while (true) {
      long left = maxNanos - (System.nanoTime() - started);
      RunOutcome outcome = machine.run(Long.MAX_VALUE, Math.min(FLUSH_NANOS, left));
      if (!flush()) {
        return new RunOutcome.Stopped();
      }
      boolean onlyAStep = outcome instanceof RunOutcome.LimitReached && left > FLUSH_NANOS;
      if (!onlyAStep) {
        return outcome;
      }
    }
  }

  /** What the kernel said when it panicked. */
  Optional<String> panic() {
    return lines.panic();
  }
}
