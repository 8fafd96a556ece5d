package memvisor.app.cli.monitor;

/** A monitor command cannot be executed; the message is one line for who typed it. */
final class MonitorError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  MonitorError(String line) {
    super(line);
  }
}
