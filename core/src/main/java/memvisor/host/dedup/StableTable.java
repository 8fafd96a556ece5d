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

  private long[] hashes = new long[64];
  private long[] hpas = filled(64);
  private int size;
  private int occupied;

  private static long[] filled(int length) {
    long[] array = new long[length];
    Arrays.fill(array, FREE);
    return array;
  }

  /** Number of frames. */
  public int size() {
    return size;
  }

  /** Adds a frame. */
  public void add(long hash, long hpa) {
    if (occupied * 2 >= hpas.length) {
      rebuild();
    }
    int slot = start(hash);
    while (hpas[slot] >= 0) {
      slot = slot + 1 & hpas.length - 1;
    }
    occupied += hpas[slot] == FREE ? 1 : 0;
    hashes[slot] = hash;
    hpas[slot] = hpa;
    size++;
  }

  /** Removes a frame, which must be there. */
  public void remove(long hash, long hpa) {
    int slot = start(hash);
    while (hpas[slot] != hpa) {
      if (hpas[slot] == FREE) {
        throw new IllegalStateException(
            "the frame is not in the table of shared contents: hpa=0x%x".formatted(hpa));
      }
      slot = slot + 1 & hpas.length - 1;
    }
    hpas[slot] = REMOVED;
    size--;
  }

  /** Position of the first frame with that hash, for {@link #hpa} and {@link #next}; -1: none. */
  public int first(long hash) {
    return seek(hash, start(hash));
  }

  /** The next frame with the same hash; -1: none. */
  public int next(long hash, int position) {
    return seek(hash, position + 1 & hpas.length - 1);
  }

  /** The frame at a position. */
  public long hpa(int position) {
    return hpas[position];
  }

  private int seek(long hash, int from) {
    int slot = from;
    while (hpas[slot] != FREE) {
      if (hpas[slot] >= 0 && hashes[slot] == hash) {
        return slot;
      }
      slot = slot + 1 & hpas.length - 1;
    }
    return -1;
  }

  private int start(long hash) {
    return (int) (hash * 0x9E37_79B9_7F4A_7C15L >>> 32) & hpas.length - 1;
  }

  private void rebuild() {
    long[] oldHashes = hashes;
    long[] oldHpas = hpas;
    int length = Math.max(64, Integer.highestOneBit(size + 1) * 8);
    hashes = new long[length];
    hpas = filled(length);
    size = 0;
    occupied = 0;
    for (int i = 0; i < oldHpas.length; i++) {
      if (oldHpas[i] >= 0) {
        add(oldHashes[i], oldHpas[i]);
      }
    }
  }
}
