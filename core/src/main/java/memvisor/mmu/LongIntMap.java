package memvisor.mmu;

import java.util.Arrays;
import java.util.function.LongConsumer;

/** Frame number → int without boxing: open addressing, absent keys read as a default. */
final class LongIntMap {
  private static final long FREE = -1;

  private final int absent;
  private long[] keys = new long[64];
  private int[] values = new int[64];
  private int used;

  LongIntMap(int absent) {
    this.absent = absent;
    Arrays.fill(keys, FREE);
  }

  int get(long key) {
    int slot = slot(key);
    return keys[slot] == FREE ? absent : values[slot];
  }

  /** Sets a value; keys whose value went back to the default are dropped when the table grows. */
  void put(long key, int value) {
    int slot = slot(key);
    if (keys[slot] == FREE) {
      if (value == absent) {
        return;
      }
      if (used * 2 >= keys.length) {
        grow();
        slot = slot(key);
      }
      keys[slot] = key;
      used++;
    }
    values[slot] = value;
  }

  /** Number of slots in use, an upper bound of the keys present. */
  int size() {
    return used;
  }

  /** Calls {@code action} for each key present; the map's keys must not change meanwhile. */
  void forEachKey(LongConsumer action) {
    for (int i = 0; i < keys.length; i++) {
      if (keys[i] != FREE && values[i] != absent) {
        action.accept(keys[i]);
      }
    }
  }

  private int slot(long key) {
    int mask = keys.length - 1;
    int slot = (int) (key * 0x9E37_79B9_7F4A_7C15L >>> 32) & mask;
    while (keys[slot] != FREE && keys[slot] != key) {
      slot = slot + 1 & mask;
    }
    return slot;
  }

  private void grow() {
    long[] oldKeys = keys;
    int[] oldValues = values;
    int live = 0;
    for (int i = 0; i < oldKeys.length; i++) {
      live += oldKeys[i] != FREE && oldValues[i] != absent ? 1 : 0;
    }
    int length = Math.max(64, Integer.highestOneBit(Math.max(1, live)) * 8);
    keys = new long[length];
    values = new int[length];
    Arrays.fill(keys, FREE);
    used = 0;
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldKeys[i] != FREE && oldValues[i] != absent) {
        int slot = slot(oldKeys[i]);
        keys[slot] = oldKeys[i];
        values[slot] = oldValues[i];
        used++;
      }
    }
  }
}
