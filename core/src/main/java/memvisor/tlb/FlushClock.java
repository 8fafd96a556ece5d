package memvisor.tlb;

/**
 * Makes invalidating a whole address space cheap: a cached entry remembers when it was filled, a
 * flush only notes the time, and an entry filled before the last flush of its space is dead.
 *
 * <p>Spaces are {@code (tag, PCID)} pairs. Flush times are kept in an open-addressed table; when it
 * grows too full, everything is flushed and it starts afresh, so that it stays bounded whatever
 * tags a technique uses.
 */
final class FlushClock {
  private static final int SLOTS = 1 << 12;
  private static final int MAX_SPACES = SLOTS / 2;
  private static final long UNUSED = -1;

  private final long[] spaces = new long[SLOTS];
  private final long[] flushed = new long[SLOTS];
  private int used;
  private long now = 1;
  private long allFlushed = 1;

  FlushClock() {
    java.util.Arrays.fill(spaces, UNUSED);
  }

  /** The time to mark a new entry with. */
  long now() {
    return now;
  }

  /** Entries of any space filled so far are dead. */
  void flushAll() {
    allFlushed = ++now;
    if (used != 0) {
      java.util.Arrays.fill(spaces, UNUSED);
      used = 0;
    }
  }

  /** Entries of {@code space} (not negative) filled so far are dead. */
  void flush(long space) {
    if (used >= MAX_SPACES) {
      flushAll();
      return;
    }
    int slot = slotOf(space);
    if (spaces[slot] == UNUSED) {
      spaces[slot] = space;
      used++;
    }
    flushed[slot] = ++now;
  }

  /** Entries of {@code space} filled at this time or later are alive. */
  long aliveSince(long space) {
    int slot = slotOf(space);
    return spaces[slot] == space ? Math.max(flushed[slot], allFlushed) : allFlushed;
  }

  private int slotOf(long space) {
    int slot = (int) (space * 0x9E37_79B9_7F4A_7C15L >>> 52);
    while (spaces[slot] != UNUSED && spaces[slot] != space) {
      slot = slot + 1 & SLOTS - 1;
    }
    return slot;
  }
}
