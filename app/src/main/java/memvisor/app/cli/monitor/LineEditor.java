package memvisor.app.cli.monitor;

import java.util.Optional;

/**
 * Makes lines of keys on a raw terminal: printable ASCII, backspace, Ctrl-U and Ctrl-C to begin
 * again, Enter. Everything else (arrow keys, other control characters) is ignored.
 */
final class LineEditor {
  private static final int BACKSPACE = 8;
  private static final int DELETE = 127;
  private static final int CTRL_C = 3;
  private static final int CTRL_U = 21;
  private static final int ESC = 27;
  private static final int LONGEST_LINE = 4096;

  private final StringBuilder line = new StringBuilder();
  private final StringBuilder echo = new StringBuilder();
  private boolean inSequence;

  /** Takes one key; a line when it was Enter. */
  Optional<String> key(int key) {
    if (inSequence) {
      // ESC [ … ends with a letter or a tilde.
      inSequence = !(Character.isLetter(key) || key == '~');
    } else if (key == '\r' || key == '\n') {
      echo.append("\r\n");
      String complete = line.toString();
      line.setLength(0);
      return Optional.of(complete);
    } else if (key == ESC) {
      inSequence = true;
    } else if (key == BACKSPACE || key == DELETE) {
      erase(Math.min(1, line.length()));
    } else if (key == CTRL_U || key == CTRL_C) {
      erase(line.length());
    } else if (key >= ' ' && key < DELETE && line.length() < LONGEST_LINE) {
      line.append((char) key);
      echo.append((char) key);
    }
    return Optional.empty();
  }

  private void erase(int count) {
    line.setLength(line.length() - count);
    echo.repeat("\b \b", count);
  }

  /** What the terminal should show for the keys since the last call. */
  String takeEcho() {
    String shown = echo.toString();
    echo.setLength(0);
    return shown;
  }
}
