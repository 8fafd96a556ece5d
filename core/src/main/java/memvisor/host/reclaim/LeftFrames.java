package memvisor.host.reclaim;

import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * Shared frames that a VM left while somebody might still have been reading them, as the entries
 * that led to them. The VM's lock is held.
 */
final class LeftFrames {
  private long[] entries = new long[64];
  private int count;

  void add(long entry) {
    if (count == entries.length) {
      entries = Arrays.copyOf(entries, count * 2);
    }
    entries[count++] = entry;
  }

  void forEach(LongConsumer action) {
    for (int i = 0; i < count; i++) {
      action.accept(entries[i]);
    }
  }

  /** Hands all of them to {@code action}, and forgets them. */
  void drain(LongConsumer action) {
    forEach(action);
    count = 0;
  }
}
