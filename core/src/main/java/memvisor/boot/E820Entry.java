package memvisor.boot;

import java.util.ArrayList;
import java.util.List;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/**
 * One line of the memory map that firmware gives an operating system (ACPI 6.5, 15).
 *
 * @param gpa first byte
 * @param sizeBytes size in bytes, positive
 * @param type what the range is for
 */
public record E820Entry(long gpa, long sizeBytes, Type type) {
  /** Types by number, from 1. */
  public enum Type {
    /** Usable RAM. */
    RAM,
    /** Not to be touched. */
    RESERVED,
    /** ACPI tables: RAM once they have been read. */
    ACPI;

    /** The number that stands in the map. */
    public int number() {
      return ordinal() + 1;
    }
  }

  // The extended BIOS data area takes the last KiB below 640 KiB on every PC, and kernels that look
  // for tables there must not find their own memory.
  private static final long EBDA = 0x9FC00;
  private static final long VIDEO_MEMORY = 0xA0000;

  /** First byte past the range. */
  public long end() {
    return gpa + sizeBytes;
  }

  /** The firmware's view of a VM's memory, ascending. */
  public static List<E820Entry> of(GuestMemoryMap map) {
    List<E820Entry> entries = new ArrayList<>();
    for (MemoryRegion region : map.regions()) {
      Type type =
          switch (region.kind()) {
            case RAM -> Type.RAM;
            case ROM -> Type.RESERVED;
            case ACPI -> Type.ACPI;
          };
      if (type == Type.RAM && region.gpa() < EBDA && region.end() == VIDEO_MEMORY) {
        entries.add(new E820Entry(region.gpa(), EBDA - region.gpa(), Type.RAM));
        entries.add(new E820Entry(EBDA, VIDEO_MEMORY - EBDA, Type.RESERVED));
      } else {
        entries.add(new E820Entry(region.gpa(), region.sizeBytes(), type));
      }
    }
    return List.copyOf(entries);
  }
}
