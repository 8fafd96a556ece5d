package memvisor.host.frames;

/** The host could not do what machine memory needs; the message names the call that failed. */
public final class HostMemoryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** A failure described by one sentence. */
  public HostMemoryException(String message) {
    super(message);
  }

  /** A failure described by one sentence, with what lies behind it. */
  public HostMemoryException(String message, Throwable cause) {
    super(message, cause);
  }

  static HostMemoryException ofCall(String call, int errno) {
    return new HostMemoryException("%s failed: errno=%d%s".formatted(call, errno, hint(errno)));
  }

  // errno values shared by Linux and macOS.
  private static String hint(int errno) {
    return switch (errno) {
      case 1 -> " (not permitted)";
      case 12 -> " (not enough memory or address space; configure less machine memory)";
      case 22 -> " (invalid argument)";
      default -> "";
    };
  }
}
