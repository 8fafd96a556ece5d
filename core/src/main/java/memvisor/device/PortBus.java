package memvisor.device;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The I/O port space: 65,536 ports, of which the unclaimed ones read as all-ones. */
public final class PortBus {
  private static final int PORT_COUNT = 0x10000;
  private final RangeMap<PortDevice> map = new RangeMap<>();

  /**
   * Gives ports {@code [first, first + count)} to a device.
   *
   * @throws IllegalArgumentException if another device has one of them
   */
  public void add(String name, int first, int count, PortDevice device) {
    if (first + count > PORT_COUNT) {
      throw new IllegalArgumentException(
          "%s: ports end at 0xffff: first=0x%x count=%d".formatted(name, first, count));
    }
    map.add(name, first, count, device);
  }

  /** IN: 1, 2 or 4 bytes, zero-extended (as an unsigned 32-bit value for 4). */
  public int read(int port, int sizeBytes) {
    PortDevice whole = deviceForWhole(port, sizeBytes);
    if (whole != null) {
      return whole.readPort(port, sizeBytes) & ones(sizeBytes);
    }
    int value = 0;
    for (int i = 0; i < sizeBytes; i++) {
      int index = map.indexOf(port + i);
      int part = index < 0 ? 0xFF : map.device(index).readPort(port + i, 1) & 0xFF;
      value |= part << 8 * i;
    }
    return value;
  }

  /** OUT: 1, 2 or 4 bytes; what nobody claims is lost. */
  public void write(int port, int sizeBytes, int value) {
    PortDevice whole = deviceForWhole(port, sizeBytes);
    if (whole != null) {
      whole.writePort(port, sizeBytes, value & ones(sizeBytes));
      return;
    }
    for (int i = 0; i < sizeBytes; i++) {
      int index = map.indexOf(port + i);
      if (index >= 0) {
        map.device(index).writePort(port + i, 1, value >>> 8 * i & 0xFF);
      }
    }
  }

  /** The claimed ranges in ascending order. */
  public List<BusRange> ranges() {
    return map.ranges();
  }

  private @Nullable PortDevice deviceForWhole(int port, int sizeBytes) {
    int index = map.indexOf(port);
    if (index < 0 || port + sizeBytes > map.end(index)) {
      return null;
    }
    PortDevice device = map.device(index);
    return sizeBytes <= device.widthBytes() ? device : null;
  }

  private static int ones(int sizeBytes) {
    return -1 >>> 32 - 8 * sizeBytes;
  }
}
