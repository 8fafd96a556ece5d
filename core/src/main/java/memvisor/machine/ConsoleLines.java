package memvisor.machine;

import java.util.Optional;
import memvisor.device.ByteSink;

/**
 * Reads along with what a guest prints: its last line, and a Linux panic, without which a kernel
 * that panicked would look like one that resets itself or hangs.
 */
public final class ConsoleLines implements ByteSink {
  private static final String PANIC = "Kernel panic - not syncing";
  private static final String PANIC_END = "end " + PANIC;

  /** Longer lines are cut: no line that matters is. */
  private static final int LONGEST_LINE = 512;

  private final StringBuilder line = new StringBuilder();
  private volatile String lastLine = "";
  private volatile Optional<String> panic = Optional.empty();
  private volatile boolean panicOver;

  @Override
  public void accept(int value) {
    if (value == '\n') {
      endLine();
    } else if (line.length() < LONGEST_LINE) {
      line.append((char) value);
    }
  }

  private void endLine() {
    int at = line.indexOf(PANIC);
    if (at >= 0 && panic.isEmpty()) {
      panic = Optional.of(line.substring(at).strip());
    }
    panicOver |= line.indexOf(PANIC_END) >= 0;
    lastLine = line.toString().strip();
    line.setLength(0);
  }

  /** The last whole line without its end; an empty text before the first. */
  public String lastLine() {
    return lastLine;
  }

  /** What the kernel said when it panicked. */
  public Optional<String> panic() {
    return panic;
  }

  /** Whether the kernel has said all about its panic. */
  public boolean isPanicOver() {
    return panicOver;
  }
}
