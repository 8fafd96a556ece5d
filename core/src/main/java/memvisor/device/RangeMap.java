package memvisor.device;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Disjoint named ranges of a bus, sorted by address; looking one up neither allocates nor scans.
 *
 * @param <D> the kind of device behind a range
 */
final class RangeMap<D> {
  private long[] starts = {};
  private long[] ends = {};
  private final List<D> devices = new ArrayList<>();
  private final List<String> names = new ArrayList<>();

  /** Adds {@code [start, start + size)}; a range that overlaps another is refused. */
  void add(String name, long start, long size, D device) {
    if (start < 0 || size <= 0 || start + size < 0) {
      throw new IllegalArgumentException(
          "%s: not a range: start=0x%x size=%d".formatted(name, start, size));
    }
    long end = start + size;
    int index = firstEndingAfter(start);
    if (index < starts.length && starts[index] < end) {
      throw new IllegalArgumentException(
          "%s at 0x%x..0x%x overlaps %s at 0x%x..0x%x"
              .formatted(name, start, end - 1, names.get(index), starts[index], ends[index] - 1));
    }
    starts = inserted(starts, index, start);
    ends = inserted(ends, index, end);
    devices.add(index, device);
    names.add(index, name);
  }

  /** The index of the range that contains {@code address}, -1 if none does. */
  int indexOf(long address) {
    int index = firstEndingAfter(address);
    return index < starts.length && starts[index] <= address ? index : -1;
  }

  long start(int index) {
    return starts[index];
  }

  long end(int index) {
    return ends[index];
  }

  D device(int index) {
    return devices.get(index);
  }

  List<BusRange> ranges() {
    List<BusRange> ranges = new ArrayList<>();
    for (int i = 0; i < starts.length; i++) {
      ranges.add(new BusRange(names.get(i), starts[i], ends[i]));
    }
    return List.copyOf(ranges);
  }

  private int firstEndingAfter(long address) {
    int low = 0;
    int high = ends.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (ends[middle] <= address) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private static long[] inserted(long[] array, int index, long value) {
    long[] longer = Arrays.copyOf(array, array.length + 1);
    System.arraycopy(array, index, longer, index + 1, array.length - index);
    longer[index] = value;
    return longer;
  }
}
