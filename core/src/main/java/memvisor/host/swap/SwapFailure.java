package memvisor.host.swap;

/** A swapped page could not be brought back; the message says why, for the VM that owns it. */
public final class SwapFailure extends Exception {
  private static final long serialVersionUID = 1L;

  SwapFailure(String message) {
    super(message);
  }

  SwapFailure(String message, Throwable cause) {
    super(message, cause);
  }
}
