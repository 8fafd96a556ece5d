package memvisor.tlb;

/**
 * The address space that lookups are made in: the current tag (VPID, ASID) and PCID, and since when
 * its entries are alive.
 *
 * <p>Entries of a space are dead when the space, its tag's non-global entries, or its tag have been
 * flushed since they were filled; global entries when the tag has (Intel SDM vol. 3A, 4.10.4).
 */
final class AddressSpace {
  /** Stands in the PCID's place for global entries. */
  static final int GLOBAL = 0x1000;

  /** Names the flush of all of a tag's entries. */
  private static final int WHOLE_TAG = 0x2000;

  /** Names the flush of all of a tag's entries but global ones. */
  private static final int NON_GLOBAL = 0x3000;

  private final FlushClock clock = new FlushClock();
  private int tag;
  private int pcid;

  /** Identity of the current space, stored in entries. */
  long space;

  /** Identity under which global entries of the current tag are stored. */
  long globalSpace;

  /** Non-global entries are alive if filled at this time or later. */
  long aliveSince;

  /** Global entries are alive if filled at this time or later. */
  long globalAliveSince;

  AddressSpace() {
    select(0, 0);
  }

  private static long key(int tag, int pcid) {
    return (tag & 0xFFFF_FFFFL) << 14 | pcid;
  }

  void select(int newTag, int newPcid) {
    tag = newTag;
    pcid = newPcid;
    space = key(newTag, newPcid);
    globalSpace = key(newTag, GLOBAL);
    refresh();
  }

  private void refresh() {
    globalAliveSince = clock.aliveSince(key(tag, WHOLE_TAG));
    long nonGlobal = clock.aliveSince(key(tag, NON_GLOBAL));
    aliveSince = Math.max(Math.max(globalAliveSince, nonGlobal), clock.aliveSince(space));
  }

  int tag() {
    return tag;
  }

  int pcid() {
    return pcid;
  }

  long now() {
    return clock.now();
  }

  void flushEverything() {
    clock.flushAll();
    refresh();
  }

  void flushTag(int whichTag) {
    clock.flush(key(whichTag, WHOLE_TAG));
    refresh();
  }

  void flushNonGlobal() {
    clock.flush(key(tag, NON_GLOBAL));
    refresh();
  }

  void flushPcid(int whichPcid) {
    clock.flush(key(tag, whichPcid));
    refresh();
  }

  /** Whether an entry filled in {@code entrySpace} at {@code filled} may be used now. */
  boolean isAlive(long entrySpace, long filled) {
    return entrySpace == space && filled >= aliveSince
        || entrySpace == globalSpace && filled >= globalAliveSince;
  }
}
