package memvisor.address;

/**
 * A host physical (machine) address: offset of a byte in machine memory.
 *
 * @param value the byte address
 */
public record HostPhysicalAddress(long value) {
  @Override
  public String toString() {
    return "hpa 0x" + Long.toHexString(value);
  }
}
