package memvisor.address;

/**
 * A host virtual address: where the monitor's process sees a byte.
 *
 * @param value the byte address
 */
public record HostVirtualAddress(long value) {
  @Override
  public String toString() {
    return "hva 0x" + Long.toHexString(value);
  }
}
