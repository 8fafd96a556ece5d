package memvisor.device.virtio;

import java.util.List;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/** Tells which ranges of guest-physical addresses a device may write. */
final class GuestRam {
  private final long[] starts;
  private final long[] ends;

  GuestRam(GuestMemoryMap map) {
    List<MemoryRegion> writable =
        map.regions().stream().filter(r -> r.kind() != MemoryRegion.Kind.ROM).toList();
    starts = writable.stream().mapToLong(MemoryRegion::gpa).toArray();
    ends = writable.stream().mapToLong(MemoryRegion::end).toArray();
  }

  /** Whether {@code [gpa, gpa + lengthBytes)} is wholly memory; the length is not negative. */
  boolean contains(long gpa, long lengthBytes) {
    long end = gpa + lengthBytes;
    if (gpa < 0 || end < gpa) {
      return false;
    }
    long at = gpa;
    for (int i = 0; i < starts.length && at < end; i++) {
      if (at >= starts[i] && at < ends[i]) {
        at = ends[i];
      }
    }
    return at >= end;
  }

  /** All of it. */
  long sizeBytes() {
    long sum = 0;
    for (int i = 0; i < starts.length; i++) {
      sum += ends[i] - starts[i];
    }
    return sum;
  }
}
