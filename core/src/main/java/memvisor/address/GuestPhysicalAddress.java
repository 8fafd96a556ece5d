package memvisor.address;

/**
 * A guest physical address: private to one VM, starting at 0.
 *
 * @param value the byte address
 */
public record GuestPhysicalAddress(long value) {
  @Override
  public String toString() {
    return "gpa 0x" + Long.toHexString(value);
  }
}
