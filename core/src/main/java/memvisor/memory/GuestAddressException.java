package memvisor.memory;

/** A loader or a device named guest memory that the VM does not have. */
public final class GuestAddressException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Names the range that is not guest memory. */
  public GuestAddressException(long gpa, long lengthBytes) {
    super("no guest memory at gpa=0x%x lengthBytes=%d".formatted(gpa, lengthBytes));
  }
}
