package memvisor.app.cli;

import java.io.PrintStream;

/**
 * Says on standard error what is being done: a line per step, and for long steps a share that is
 * rewritten in place where the output is a terminal.
 */
public final class Progress {
  private static final String CLEAR_TO_END_OF_LINE = "\u001b[K";

  /** How often a log gets a line about a long step. */
  private static final long NOTE_NANOS = 10_000_000_000L;

  private final PrintStream out;
  private final boolean terminal;
  private boolean unfinishedLine;
  private long lastNote;

  private Progress(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  /** Progress on standard error. */
  public static Progress onStandardError() {
    return new Progress(System.err, System.console() != null && System.console().isTerminal());
  }

  /** Announces a step. */
  public void step(String text) {
    endLine();
    out.println(text);
    lastNote = System.nanoTime();
  }

  /** Shows how far the current step is; only a terminal sees it. */
  public void share(String text, long done, long total) {
    if (!terminal || total <= 0) {
      return;
    }
    long percent = Math.min(100, done * 100 / total);
    out.print("\r" + text + " " + percent + " %" + CLEAR_TO_END_OF_LINE);
    out.flush();
    unfinishedLine = true;
  }

  /** Shows how far the current step is, where no total is known: now and then, or in place. */
  public void note(String text) {
    if (terminal) {
      out.print("\r" + text + CLEAR_TO_END_OF_LINE);
      out.flush();
      unfinishedLine = true;
    } else if (System.nanoTime() - lastNote > NOTE_NANOS) {
      out.println(text);
      lastNote = System.nanoTime();
    }
  }

  /** Ends a line that {@link #share} left open. */
  public void endLine() {
    if (unfinishedLine) {
      out.print("\r" + CLEAR_TO_END_OF_LINE);
      out.flush();
      unfinishedLine = false;
    }
  }
}
