package memvisor.mmu.direct;

import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/**
 * The page-type system: for each machine frame of one domain who refers to it and as what.
 *
 * <p>What it guarantees: a frame that is in use as a page table (or holds segment descriptors) can
 * be written by nobody but this class, every entry of such a table leads to a frame of the domain
 * that has the type the entry needs, and no frame is two things at once. So hardware may walk the
 * tables as they are. Counts are exact: one per present entry of a validated table, per pin, and
 * per reference the monitor holds (CR3, GDT).
 *
 * <p>Work is bounded. A table is validated with all that it leads to, which may be most of the
 * guest's memory: an operation that has used up what {@link #beginWork} allows returns {@code
 * -ERESTART}, keeps what it has validated, and is to be asked for again. Tables that nobody refers
 * to any more are released one by one, by {@link #settle}; the guest is not to run before that is
 * done.
 *
 * <p>Needs no processor: stale translations are somebody else's, told through {@link Translations}.
 * Not thread-safe. Errors are negative {@link Errno} values, and a failed call changes nothing but
 * flags that validation has already rewritten.
 */
public final class PageTypes {
  /** Entries of a table. */
  static final int ENTRIES = 512;

  /** First and one past the last L4 slot that belongs to the monitor. */
  static final int FIRST_RESERVED_SLOT = 256;

  static final int END_RESERVED_SLOT = 272;

  /** Entries that one entry into the monitor may validate or release. */
  public static final int WORK = 16 * 1024;

  /** What dropping all translations is worth in entries. */
  private static final int FLUSH_WORK = 64;

  static final byte OWNED = 1;
  static final byte VALIDATED = 2;
  static final byte PINNED = 4;

  /** A table without references whose entries still count. */
  static final byte RELEASING = 8;

  /** Who holds translations that outlive their entries. */
  public interface Translations {
    /** Drops everything: a frame is about to change its type. */
    void flushAll();

    /** Drops what was kept of entries above the leaves: one of them changed. */
    void upperEntryChanged();
  }

  private final MachineMemory machine;
  private final Translations translations;
  private final DirectCounters counters;
  final byte[] flags;
  final byte[] type;
  final int[] count;
  final int[] typeCount;

  /** Value of {@link #flushes} when the type count last fell to zero; -1 if it never rose. */
  private final long[] freedAt;

  private long flushes;

  /** References that the monitor holds by itself, one element each. */
  final FrameList held = new FrameList();

  /** Tables validated by the operation that runs, and those kept for when it is asked for again. */
  private final FrameList fresh = new FrameList();

  final FrameList kept = new FrameList();

  /** Tables to be released. */
  private final FrameList releasing = new FrameList();

  private int workLeft = Integer.MAX_VALUE;

  /** What every L4 has in the monitor's slots. */
  private final long[] reservedSlots = new long[END_RESERVED_SLOT - FIRST_RESERVED_SLOT];

  /** A system in which no frame belongs to the domain. */
  public PageTypes(MachineMemory machine, Translations translations) {
    this(machine, translations, new DirectCounters());
  }

  PageTypes(MachineMemory machine, Translations translations, DirectCounters counters) {
    this.machine = machine;
    this.translations = translations;
    this.counters = counters;
    int frames = (int) (machine.sizeBytes() >>> 12);
    flags = new byte[frames];
    type = new byte[frames];
    count = new int[frames];
    typeCount = new int[frames];
    freedAt = new long[frames];
    java.util.Arrays.fill(freedAt, -1);
  }

  // ---- ownership -----------------------------------------------------------------------------

  /** Gives a frame to the domain. */
  public void own(long mfn) {
    flags[(int) mfn] = OWNED;
  }

  /**
   * Takes a frame from the domain.
   *
   * @return 0, or {@code -EBUSY} while anything refers to it
   */
  public int disown(long mfn) {
    if (!isOwned(mfn)) {
      return -Errno.EINVAL;
    }
    releaseNow((int) mfn);
    if (count[(int) mfn] != 0) {
      return -Errno.EBUSY;
    }
    // Read-only translations of it may be left anywhere.
    flush();
    flags[(int) mfn] = 0;
    type[(int) mfn] = 0;
    return 0;
  }

  /** Whether a number, of any value, is a frame of the domain. */
  public boolean isOwned(long mfn) {
    return mfn >= 0 && mfn < flags.length && (flags[(int) mfn] & OWNED) != 0;
  }

  /** Sets what every L4 validated from now on has in one of the slots 256 to 271. */
  void setReservedSlot(int slot, long entry) {
    reservedSlots[slot - FIRST_RESERVED_SLOT] = entry;
  }

  // ---- asking --------------------------------------------------------------------------------

  /** What an owned frame is in use as. */
  public FrameType type(long mfn) {
    return isOwned(mfn) && typeCount[(int) mfn] != 0
        ? FrameType.values()[type[(int) mfn]]
        : FrameType.NONE;
  }

  /** Level of the validated table that a frame is in use as, 0 if it is none. */
  public int tableLevel(long mfn) {
    boolean table =
        isOwned(mfn) && typeCount[(int) mfn] != 0 && (flags[(int) mfn] & VALIDATED) != 0;
    return table && type[(int) mfn] <= 4 ? type[(int) mfn] : 0;
  }

  /** References to an owned frame of any kind. */
  public int count(long mfn) {
    return count[(int) mfn];
  }

  /** References to an owned frame as its type. */
  public int typeCount(long mfn) {
    return typeCount[(int) mfn];
  }

  /** Whether the guest has pinned a frame's type. */
  public boolean isPinned(long mfn) {
    return (flags[(int) mfn] & PINNED) != 0;
  }

  // ---- references ----------------------------------------------------------------------------

  private void flush() {
    flushes++;
    workLeft -= FLUSH_WORK;
    counters.typeFlushes++;
    translations.flushAll();
  }

  /** Everything cached was dropped for another reason: no need to do it again. */
  public void flushed() {
    flushes++;
  }

  private int acquirePage(long mfn) {
    if (!isOwned(mfn) || count[(int) mfn] == Integer.MAX_VALUE) {
      return -Errno.EINVAL;
    }
    count[(int) mfn]++;
    return 0;
  }

  private int acquire(long mfn, int wanted) {
    if (!isOwned(mfn)) {
      return -Errno.EINVAL;
    }
    int f = (int) mfn;
    boolean taken = typeCount[f] != 0 && (type[f] != wanted || (flags[f] & VALIDATED) == 0);
    if (taken || count[f] == Integer.MAX_VALUE) {
      return -Errno.EINVAL;
    }
    if (typeCount[f] == 0) {
      releaseNow(f);
      if (workLeft <= 0 && isTable(wanted)) {
        keepFresh();
        return -Errno.ERESTART;
      }
      if (type[f] != wanted && freedAt[f] == flushes) {
        flush();
      }
      count[f]++;
      typeCount[f] = 1;
      type[f] = (byte) wanted;
      int error = validate(f, wanted);
      if (error != 0) {
        typeCount[f] = 0;
        count[f]--;
        type[f] = 0;
        return error;
      }
      flags[f] |= VALIDATED;
      if (isTable(wanted)) {
        fresh.add(f);
      }
    } else {
      typeCount[f]++;
      count[f]++;
    }
    return 0;
  }

  private void release(int f) {
    typeCount[f]--;
    count[f]--;
    if (typeCount[f] == 0) {
      flags[f] &= ~VALIDATED;
      freedAt[f] = flushes;
      if (isTable(type[f])) {
        flags[f] |= RELEASING;
        releasing.add(f);
      }
    }
  }

  // ---- bounded work --------------------------------------------------------------------------

  private static boolean isTable(int type) {
    return type >= 1 && type <= 4;
  }

  /** The guest has entered the monitor: {@link #WORK} may be done before it is asked again. */
  public void beginWork() {
    workLeft = WORK;
  }

  /** Whether what may be done at once has been done. */
  public boolean isWorkDone() {
    return workLeft <= 0;
  }

  /** Counts work of a caller's own against what may be done at once. */
  public void work(int entries) {
    workLeft -= entries;
  }

  /**
   * Releases tables that nobody refers to, as far as may be done at once.
   *
   * @return whether none is left
   */
  public boolean settle() {
    while (!releasing.isEmpty()) {
      if (workLeft <= 0) {
        return false;
      }
      releaseNow(releasing.removeLast());
    }
    return true;
  }

  /** Whether no table waits for its release. */
  public boolean isSettled() {
    return releasing.isEmpty();
  }

  private void releaseNow(int f) {
    if ((flags[f] & RELEASING) != 0) {
      flags[f] &= ~RELEASING;
      counters.tablesReleased++;
      workLeft -= ENTRIES;
      releaseEntries(f, type[f], ENTRIES);
    }
  }

  /** Keeps what has been validated alive until the operation has been asked for again. */
  private void keepFresh() {
    for (int i = 0; i < fresh.size(); i++) {
      int f = fresh.get(i);
      if (typeCount[f] != 0) {
        typeCount[f]++;
        count[f]++;
        kept.add(f);
      }
    }
    fresh.clear();
  }

  /** An operation has ended in this way. */
  private int ended(int error) {
    fresh.clear();
    if (error != -Errno.ERESTART) {
      while (!kept.isEmpty()) {
        release(kept.removeLast());
      }
      settle();
    }
    return error;
  }

  // ---- references of the monitor's and the guest's own ----------------------------------------

  /** Takes a reference of the monitor's own: the frame is CR3, or part of the GDT. */
  public int hold(long mfn, FrameType as) {
    int error = ended(acquire(mfn, as.ordinal()));
    if (error == 0) {
      held.add((int) mfn);
    }
    return error;
  }

  /** Gives a reference back that {@link #hold} took. */
  public void drop(long mfn) {
    held.remove((int) mfn);
    release((int) mfn);
    settle();
  }

  /** Pins a frame as a table: it stays one, validated, without being referred to. */
  public int pin(int level, long mfn) {
    if (isOwned(mfn) && isPinned(mfn)) {
      return -Errno.EINVAL;
    }
    int error = ended(acquire(mfn, level));
    if (error == 0) {
      flags[(int) mfn] |= PINNED;
      counters.pins++;
    }
    return error;
  }

  /** Unpins a frame. */
  public int unpin(long mfn) {
    if (!isOwned(mfn) || !isPinned(mfn)) {
      return -Errno.EINVAL;
    }
    flags[(int) mfn] &= ~PINNED;
    counters.unpins++;
    release((int) mfn);
    settle();
    return 0;
  }

  // ---- validation ----------------------------------------------------------------------------

  long entryHva(int f, int index) {
    return machine.hva(((long) f << 12) + 8L * index);
  }

  static boolean isReserved(int level, int index) {
    return level == 4 && index >= FIRST_RESERVED_SLOT && index < END_RESERVED_SLOT;
  }

  private int validate(int f, int wanted) {
    if (wanted == FrameType.SEGDESC.ordinal()) {
      return validateDescriptors(f);
    }
    return wanted >= 1 && wanted <= 4 ? validateEntries(f, wanted) : 0;
  }

  private int validateEntries(int f, int level) {
    counters.tablesValidated++;
    workLeft -= ENTRIES;
    for (int i = 0; i < ENTRIES; i++) {
      long hva = entryHva(f, i);
      if (isReserved(level, i)) {
        Hva.writeLong(hva, reservedSlots[i - FIRST_RESERVED_SLOT]);
        continue;
      }
      long entry = Hva.readLong(hva);
      int error = acquireEntry(level, entry);
      if (error != 0) {
        releaseEntries(f, level, i);
        return error;
      }
      Hva.writeLong(hva, Pte.adjusted(level, entry));
    }
    return 0;
  }

  private int validateDescriptors(int f) {
    for (int i = 0; i < ENTRIES; i++) {
      long raw = Hva.readLong(entryHva(f, i));
      if (!GuestDescriptor.isPermitted(raw)) {
        return -Errno.EINVAL;
      }
      Hva.writeLong(entryHva(f, i), GuestDescriptor.adjusted(raw));
    }
    return 0;
  }

  /** Takes the references of one entry about to stand in a table. */
  private int acquireEntry(int level, long entry) {
    if (!Pte.present(entry)) {
      return 0;
    }
    counters.entriesValidated++;
    if (Pte.malformed(level, entry)) {
      return -Errno.EINVAL;
    }
    long mfn = Pte.mfn(entry);
    if (level > 1) {
      return acquire(mfn, level - 1);
    }
    int error = Pte.writable(entry) ? acquire(mfn, FrameType.WRITABLE.ordinal()) : acquirePage(mfn);
    return error != 0 && mfn < flags.length ? -Errno.EBUSY : error;
  }

  private void releaseEntry(int level, long entry) {
    if (Pte.present(entry)) {
      int f = (int) Pte.mfn(entry);
      if (level > 1 || Pte.writable(entry)) {
        release(f);
      } else {
        count[f]--;
      }
    }
  }

  private void releaseEntries(int f, int level, int end) {
    for (int i = 0; i < end; i++) {
      if (!isReserved(level, i)) {
        releaseEntry(level, Hva.readLong(entryHva(f, i)));
      }
    }
  }

  // ---- changing ------------------------------------------------------------------------------

  /**
   * Changes one entry of a validated table.
   *
   * @param preserveFlags whether accessed and dirty bits that hardware set in the old entry stay
   */
  public int update(long mfn, int index, long value, boolean preserveFlags) {
    int level = tableLevel(mfn);
    if (level == 0 || isReserved(level, index)) {
      counters.refusedUpdates++;
      return -Errno.EINVAL;
    }
    counters.entryUpdates++;
    long hva = entryHva((int) mfn, index);
    long old = Hva.readLong(hva);
    long kept = preserveFlags && Pte.present(value) && Pte.present(old) ? old & (Pte.A | Pte.D) : 0;
    long stored = Pte.adjusted(level, value) | kept;
    if (Pte.present(value)
        && Pte.present(old)
        && !Pte.malformed(level, value)
        && Pte.sameTarget(level, old, value)) {
      counters.fastUpdates++;
      Hva.writeLong(hva, stored);
      return 0;
    }
    int error = ended(acquireEntry(level, value));
    if (error != 0) {
      counters.refusedUpdates += error == -Errno.ERESTART ? 0 : 1;
      return error;
    }
    Hva.writeLong(hva, stored);
    if (level > 1 && Pte.present(old)) {
      translations.upperEntryChanged();
    }
    releaseEntry(level, old);
    settle();
    return 0;
  }

  /** Writes into a frame that is neither a table nor holds descriptors, as the guest could. */
  public int writeRaw(long mfn, int offset, long value) {
    int error = acquire(mfn, FrameType.WRITABLE.ordinal());
    if (error == 0) {
      Hva.writeLong(machine.hva((mfn << 12) + offset), value);
      counters.rawUpdates++;
      release((int) mfn);
    }
    return error;
  }

  /** Replaces one descriptor of a frame of any use that permits it. */
  public int updateDescriptor(long mfn, int offset, long raw) {
    if (!GuestDescriptor.isPermitted(raw)) {
      return -Errno.EINVAL;
    }
    if (type(mfn) != FrameType.SEGDESC) {
      return writeRaw(mfn, offset, GuestDescriptor.adjusted(raw));
    }
    Hva.writeLong(machine.hva((mfn << 12) + offset), GuestDescriptor.adjusted(raw));
    return 0;
  }

  /**
   * Counts every reference anew, from the tables in memory, and compares.
   *
   * @throws IllegalStateException naming the first frame whose counts disagree
   */
  public void audit() {
    new PageTypeAudit(this).run();
  }
}
