package memvisor.memory;

/**
 * One slot of guest-physical memory, {@code [gpa, gpa + sizeBytes)}.
 *
 * @param gpa first byte, 4 KiB aligned
 * @param sizeBytes size in bytes, a positive multiple of 4 KiB
 * @param kind what the slot holds
 */
public record MemoryRegion(long gpa, long sizeBytes, Kind kind) {
  /** What a slot holds. */
  public enum Kind {
    /** Ordinary memory, reported to the guest as usable. */
    RAM,
    /** Memory the guest may read but not change. */
    ROM,
    /** Ordinary memory that holds firmware tables: RAM to the processor, ACPI data in e820. */
    ACPI
  }

  /** Checks alignment and range. */
  public MemoryRegion {
    if ((gpa & 0xFFF) != 0 || (sizeBytes & 0xFFF) != 0 || gpa < 0 || sizeBytes <= 0) {
      throw new IllegalArgumentException(
          "a memory region is made of whole 4 KiB pages: gpa=0x%x sizeBytes=%d"
              .formatted(gpa, sizeBytes));
    }
    if (gpa + sizeBytes < 0 || gpa + sizeBytes > 1L << 52) {
      throw new IllegalArgumentException(
          "a memory region ends beyond 2^52: gpa=0x%x sizeBytes=%d".formatted(gpa, sizeBytes));
    }
  }

  /** First address past the region. */
  public long end() {
    return gpa + sizeBytes;
  }

  /** Whether {@code address} lies inside. */
  public boolean contains(long address) {
    return address >= gpa && address < end();
  }
}
