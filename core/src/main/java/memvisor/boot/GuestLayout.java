package memvisor.boot;

import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/**
 * Where a PC has its memory.
 *
 * <pre>
 *   0          – 0xA0000     RAM (the last KiB reserved, as the EBDA)
 *   0xA0000    – 0xE0000     nothing: video memory
 *   0xE0000    – 0x100000    ACPI tables, where the search for the RSDP finds them
 *   0x100000   – 3 GiB       RAM
 *   3 GiB      – 4 GiB       nothing: devices, APICs
 *   4 GiB      –             the rest of the RAM
 * </pre>
 */
public final class GuestLayout {
  /** Start of the region for ACPI tables. */
  public static final long ACPI_BASE = 0xE0000;

  /** Size of the region for ACPI tables. */
  public static final long ACPI_BYTES = 0x20000;

  /** The smallest VM. */
  public static final long MINIMUM_BYTES = 2L << 20;

  /** The largest VM. */
  public static final long MAXIMUM_BYTES = 1L << 40;

  private static final long LOW_END = 0xA0000;
  private static final long HIGH_BASE = 1L << 20;
  private static final long DEVICES = 3L << 30;
  private static final long ABOVE_DEVICES = 4L << 30;

  private GuestLayout() {}

  /**
   * The memory map of a PC with so much memory, counted as PCs count it: the hole below 1 MiB is
   * part of it, the hole below 4 GiB is not.
   *
   * @throws IllegalArgumentException if the size makes no sense; the message is for the user
   */
  public static GuestMemoryMap of(long memoryBytes) {
    if (memoryBytes < MINIMUM_BYTES || memoryBytes > MAXIMUM_BYTES) {
      throw new IllegalArgumentException(
          "guest memory must be between 2 MiB and 1 TiB, not %s bytes"
              .formatted(
                  memoryBytes == Long.MIN_VALUE
                      ? Long.toUnsignedString(memoryBytes)
                      : Long.toString(memoryBytes)));
    }
    if ((memoryBytes & 0xFFF) != 0) {
      throw new IllegalArgumentException(
          "guest memory must be a multiple of 4096 bytes, not " + memoryBytes);
    }
    long belowDevices = Math.min(memoryBytes, DEVICES);
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY
            .with(new MemoryRegion(0, LOW_END, MemoryRegion.Kind.RAM))
            .with(new MemoryRegion(ACPI_BASE, ACPI_BYTES, MemoryRegion.Kind.ACPI))
            .with(new MemoryRegion(HIGH_BASE, belowDevices - HIGH_BASE, MemoryRegion.Kind.RAM));
    long above = memoryBytes - belowDevices;
    return above == 0
        ? map
        : map.with(new MemoryRegion(ABOVE_DEVICES, above, MemoryRegion.Kind.RAM));
  }
}
