package memvisor.device;

import java.util.List;

/** Device windows in the guest-physical address space; what nobody claims reads as all-ones. */
public final class MmioBus {
  private final RangeMap<MmioDevice> map = new RangeMap<>();

  /**
   * Gives {@code [gpa, gpa + sizeBytes)} to a device.
   *
   * @throws IllegalArgumentException if another device has a part of it
   */
  public void add(String name, long gpa, long sizeBytes, MmioDevice device) {
    map.add(name, gpa, sizeBytes, device);
  }

  /** Whether a device claims {@code gpa}. */
  public boolean claims(long gpa) {
    return map.indexOf(gpa) >= 0;
  }

  /** Reads 1, 2, 4 or 8 bytes, zero-extended; an access must not leave its window. */
  public long read(long gpa, int sizeBytes) {
    int index = map.indexOf(gpa);
    long ones = -1L >>> 64 - 8 * sizeBytes;
    if (index < 0 || gpa + sizeBytes > map.end(index)) {
      return ones;
    }
    return map.device(index).read(gpa - map.start(index), sizeBytes) & ones;
  }

  /** Writes 1, 2, 4 or 8 bytes; what no window wholly contains is lost. */
  public void write(long gpa, int sizeBytes, long value) {
    int index = map.indexOf(gpa);
    if (index >= 0 && gpa + sizeBytes <= map.end(index)) {
      map.device(index)
          .write(gpa - map.start(index), sizeBytes, value & -1L >>> 64 - 8 * sizeBytes);
    }
  }

  /** The claimed windows in ascending order. */
  public List<BusRange> ranges() {
    return map.ranges();
  }
}
