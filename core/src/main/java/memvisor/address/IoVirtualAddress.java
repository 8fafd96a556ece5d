package memvisor.address;

/**
 * An I/O virtual address: what a device uses for DMA.
 *
 * @param value the byte address
 */
public record IoVirtualAddress(long value) {
  @Override
  public String toString() {
    return "iova 0x" + Long.toHexString(value);
  }
}
