package memvisor.address;

/**
 * A host frame number: a host physical address divided by 4 KiB.
 *
 * @param value the frame number
 */
public record HostFrameNumber(long value) {
  @Override
  public String toString() {
    return "hfn 0x" + Long.toHexString(value);
  }
}
