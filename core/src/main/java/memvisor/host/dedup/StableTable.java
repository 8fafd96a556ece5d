package memvisor.host.dedup;

import java.util.Arrays;

/**
 * Places by the hash of what lies there: open addressing, any number of places per hash. A place is
 * the HPA of a shared frame, or a handle of the compressed pool.
 *
 * <p>Not thread-safe.
 */
public final class StableTable {
  private static final long FREE = -1;
  private static final long REMOVED = -2;

  /** Hash and place by turns, so that looking at one slot reads one line of the cache. */
  private long[] slots = free(64);

  private int size;
  private int occupied;

  private static long[] free(int count) {
    long[] slots = new long[2 * count];
    Arrays.fill(slots, FREE);
    return slots;
  }

  /** Number of frames. */
  public int size() {
    return size;
  }

  /** Adds a frame. */
  public void add(long hash, long hpa) {
    if (occupied * 4 >= slots.length) {
      rebuild();
    }
    int slot = start(hash);
    while (hpa(slot) >= 0) {
      slot = after(slot);
    }
    occupied += hpa(slot) == FREE ? 1 : 0;
    slots[slot] = hash;
    slots[slot + 1] = hpa;
    size++;
  }

  /** Removes a frame, which must be there. */
  public void remove(long hash, long hpa) {
    int slot = start(hash);
    while (hpa(slot) != hpa) {
      if (hpa(slot) == FREE) {
        throw new IllegalStateException(
            "the frame is not in the table of shared contents: hpa=0x%x".formatted(hpa));
      }
      slot = after(slot);
    }
    slots[slot + 1] = REMOVED;
    size--;
  }

  /** Position of the first frame with that hash, for {@link #hpa} and {@link #next}; -1: none. */
  public int first(long hash) {
    return seek(hash, start(hash));
  }

  /** The next frame with the same hash; -1: none. */
  public int next(long hash, int position) {
    return seek(hash, after(position));
  }

  /** The frame at a position. */
  public long hpa(int position) {
    return slots[position + 1];
  }

  private int seek(long hash, int from) {
    int slot = from;
    while (hpa(slot) != FREE) {
      if (slots[slot] == hash && hpa(slot) >= 0) {
        return slot;
      }
      slot = after(slot);
    }
    return -1;
  }

  private int start(long hash) {
    return (int) (hash * 0x9E37_79B9_7F4A_7C15L >>> 32) & slots.length - 2;
  }

  private int after(int slot) {
    return slot + 2 & slots.length - 1;
  }

  private void rebuild() {
    long[] old = slots;
    slots = free(Math.max(64, Integer.highestOneBit(size + 1) * 8));
    size = 0;
    occupied = 0;
    for (int slot = 0; slot < old.length; slot += 2) {
      if (old[slot + 1] >= 0) {
        add(old[slot], old[slot + 1]);
      }
    }
  }
}
