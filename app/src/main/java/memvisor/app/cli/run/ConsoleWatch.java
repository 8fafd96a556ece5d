package memvisor.app.cli.run;

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Optional;
import memvisor.device.ByteSink;
import memvisor.machine.ConsoleLines;

/** Passes on what the guest prints, and calls when a Linux panic is over. */
final class ConsoleWatch implements ByteSink {
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

  /** What the kernel said when it panicked. */
  Optional<String> panic() {
    return lines.panic();
  }
}
