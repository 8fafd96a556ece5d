package memvisor.address;

/**
 * A guest frame number: a guest physical address divided by 4 KiB.
 *
 * @param value the frame number
 */
public record GuestFrameNumber(long value) {
  @Override
  public String toString() {
    return "gfn 0x" + Long.toHexString(value);
  }
}
