package memvisor.app.cli.host;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Makes lines of the bytes that anybody may send, up to a limit. */
final class RequestLines {
  /** Bytes of a line; no request comes near. */
  static final int LONGEST = 4096;

  private final ByteArrayOutputStream building = new ByteArrayOutputStream();
  private String line = "";
  private boolean tooLong;

  /** Takes one byte; whether a line has ended, or become too long. */
  boolean accept(byte value) {
    if (value == '\n') {
      line = building.toString(StandardCharsets.UTF_8);
      building.reset();
      return true;
    }
    if (building.size() == LONGEST) {
      tooLong = true;
      return true;
    }
    building.write(value);
    return false;
  }

  boolean isTooLong() {
    return tooLong;
  }

  String line() {
    return line;
  }
}
