package memvisor.boot;

/** An image is truncated or contradicts its own format. */
public final class ImageFormatException extends BootException {
  private static final long serialVersionUID = 1L;

  /** A failure described by one sentence. */
  public ImageFormatException(String message) {
    super(message);
  }
}
