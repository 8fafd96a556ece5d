package memvisor.app.cli.run;

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Optional;
import memvisor.device.ByteSink;

/**
 * Passes on what the guest prints, and notices the end of a Linux panic: without it a kernel that
 * panicked would look like one that resets itself or hangs.
 */
final class ConsoleWatch implements ByteSink {
  private static final String PANIC = "Kernel panic - not syncing";
  private static final String PANIC_END = "end " + PANIC;

  /** Longer lines are cut: no line that matters is. */
  private static final int LONGEST_LINE = 512;

  private final PrintStream out;
  private final Runnable onPanic;
  private final StringBuilder line = new StringBuilder();
  private Optional<String> panic = Optional.empty();

  /** Writes to {@code out}; calls {@code onPanic} once the kernel has said all about its panic. */
  ConsoleWatch(OutputStream out, Runnable onPanic) {
    this.out = new PrintStream(out, false);
    this.onPanic = onPanic;
  }

  @Override
  public void accept(int value) {
    out.write(value);
    if (value == '\n') {
      out.flush();
      endLine();
    } else if (line.length() < LONGEST_LINE) {
      line.append((char) value);
    }
  }

  /** Shows what was written without a line end. */
  void flush() {
    out.flush();
  }

  /** What the kernel said when it panicked. */
  Optional<String> panic() {
    return panic;
  }

  private void endLine() {
    int at = line.indexOf(PANIC);
    if (at >= 0 && panic.isEmpty()) {
      panic = Optional.of(line.substring(at).strip());
    }
    if (line.indexOf(PANIC_END) >= 0) {
      onPanic.run();
    }
    line.setLength(0);
  }
}
