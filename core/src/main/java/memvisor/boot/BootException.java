package memvisor.boot;

/**
 * An image cannot be started in this VM. The message is one sentence for the user that says what to
 * do.
 */
public class BootException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** A failure described by one sentence. */
  public BootException(String message) {
    super(message);
  }
}
