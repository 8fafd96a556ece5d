package memvisor.address;

/**
 * A guest virtual (linear) address: what the guest's own page tables translate.
 *
 * @param value the 64-bit linear address
 */
public record GuestVirtualAddress(long value) {
  @Override
  public String toString() {
    return "gva 0x" + Long.toHexString(value);
  }
}
