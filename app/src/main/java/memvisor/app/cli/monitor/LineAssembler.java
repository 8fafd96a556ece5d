package memvisor.app.cli.monitor;

/**
 * Makes lines of bytes that anybody may send: control characters and bytes beyond ASCII become
 * {@code ?}, lines beyond the limit are swallowed up to their end.
 */
final class LineAssembler {
  /** What one byte led to. */
  enum Result {
    /** The line goes on. */
    INCOMPLETE,
    /** {@link #line} is a line. */
    LINE,
    /** A line ended that was too long. */
    TOO_LONG
  }

  private final int longestLine;
  private final StringBuilder building = new StringBuilder();
  private String complete = "";
  private boolean tooLong;

  LineAssembler(int longestLine) {
    this.longestLine = longestLine;
  }

  /** Takes one byte. */
  Result accept(byte value) {
    if (value == '\n') {
      complete = building.toString();
      building.setLength(0);
      Result result = tooLong ? Result.TOO_LONG : Result.LINE;
      tooLong = false;
      return result;
    }
    if (building.length() == longestLine) {
      tooLong = true;
    } else if (value >= ' ' && value < 127) {
      building.append((char) value);
    } else if (value == '\t') {
      building.append(' ');
    } else if (value != '\r') {
      building.append('?');
    }
    return Result.INCOMPLETE;
  }

  /** The line that the last byte ended, without its end. */
  String line() {
    return complete;
  }
}
