package memvisor.memory;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.LongConsumer;

/**
 * One bit per guest frame of a VM: written since the log was last drained.
 *
 * <p>Any thread may mark; draining and marking may race, and a mark then lands either in the
 * drained set or in the next one, never nowhere.
 */
public final class DirtyLog {
  private final long[] firstGfn;
  private final long[] endGfn;
  private final AtomicLongArray[] bits;

  /** A log in which every frame of {@code map} is clean. */
  public DirtyLog(GuestMemoryMap map) {
    int count = map.regions().size();
    firstGfn = new long[count];
    endGfn = new long[count];
    bits = new AtomicLongArray[count];
    for (int i = 0; i < count; i++) {
      MemoryRegion region = map.regions().get(i);
      firstGfn[i] = region.gpa() >>> 12;
      endGfn[i] = region.end() >>> 12;
      bits[i] = new AtomicLongArray((int) ((endGfn[i] - firstGfn[i] + 63) >>> 6));
    }
  }

  /** Records that guest frame {@code gfn}, which must be in the map, was or will be written. */
  public void mark(long gfn) {
    int region = region(gfn);
    long index = gfn - firstGfn[region];
    bits[region].getAndAccumulate((int) (index >>> 6), 1L << index, (old, bit) -> old | bit);
  }

  /** Whether {@code gfn}, which must be in the map, was marked since the last drain. */
  public boolean isDirty(long gfn) {
    int region = region(gfn);
    long index = gfn - firstGfn[region];
    return (bits[region].get((int) (index >>> 6)) & 1L << index) != 0;
  }

  /** Cleans every frame and hands those that were dirty to {@code action}, in ascending order. */
  public void drain(LongConsumer action) {
    for (int region = 0; region < bits.length; region++) {
      for (int word = 0; word < bits[region].length(); word++) {
        long first = firstGfn[region] + ((long) word << 6);
        for (long set = bits[region].getAndSet(word, 0); set != 0; set &= set - 1) {
          action.accept(first + Long.numberOfTrailingZeros(set));
        }
      }
    }
  }

  private int region(long gfn) {
    for (int i = 0; i < firstGfn.length; i++) {
      if (gfn >= firstGfn[i] && gfn < endGfn[i]) {
        return i;
      }
    }
    throw new IllegalArgumentException("no such guest frame: gfn=0x%x".formatted(gfn));
  }
}
