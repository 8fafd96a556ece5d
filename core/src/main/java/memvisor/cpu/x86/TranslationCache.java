package memvisor.cpu.x86;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import memvisor.memory.Hva;

/**
 * A direct-mapped software TLB from linear page to host virtual address, for one privilege view.
 *
 * <p>Invisible to the guest and to the modelled counts: it holds only what the translation unit
 * said may be cached, and forgets everything when the unit invalidates. Separate tags for reads and
 * writes; pages that hold translated code, are tracked or belong to devices are never in the write
 * tags.
 *
 * <p>The entries are outside the Java heap, each half a cache line, so that generated code finds
 * one by a shift, a mask and an addition, without the bounds check of an array.
 */
final class TranslationCache {
  /** Entries per kind. 4096 pages reach 16 MiB; larger did not pay in the kernel boot. */
  private static final int ENTRIES = 4096;

  /** A tag no access can match: page offset bits are set. */
  private static final long EMPTY = 0xFFF;

  /** An entry: tag and addend for reads, tag and addend for writes. */
  private static final int ENTRY_LOG2 = 5;

  private static final int READ_ADDEND = 8;
  private static final int WRITE_TAG = 16;
  private static final int WRITE_ADDEND = 24;

  private static final long OFFSETS = ENTRIES - 1L << ENTRY_LOG2;

  /** Lives as long as this, which the processor holds while it uses {@link #table}. */
  private final MemorySegment memory = Arena.ofAuto().allocate(ENTRIES << ENTRY_LOG2, 64);

  /** Host virtual address of the first entry. */
  final long table = memory.address();

  /** Which entries were filled since they were all empty, for global pages and for others. */
  private final FillLog globals = new FillLog();

  private final FillLog others = new FillLog();

  TranslationCache() {
    forgetAll();
  }

  private static long entry(long table, long gva) {
    return table + (gva >>> 12 - ENTRY_LOG2 & OFFSETS);
  }

  /** Whether {@code [gva, gva + last]} can be read in a known page. */
  static boolean isReadable(long table, long gva, int last) {
    return Hva.readLong(entry(table, gva)) == (gva + last & -4096L);
  }

  /** Where the page of a readable address is. */
  static long readableHva(long table, long gva) {
    return gva + Hva.readLong(entry(table, gva) + READ_ADDEND);
  }

  /** Whether {@code [gva, gva + last]} can be written in a known page. */
  static boolean isWritable(long table, long gva, int last) {
    return Hva.readLong(entry(table, gva) + WRITE_TAG) == (gva + last & -4096L);
  }

  /** Where the page of a writable address is. */
  static long writableHva(long table, long gva) {
    return gva + Hva.readLong(entry(table, gva) + WRITE_ADDEND);
  }

  void flush() {
    if (globals.isComplete() && others.isComplete()) {
      forget(globals);
      forget(others);
    } else {
      forgetAll();
    }
    globals.clear();
    others.clear();
  }

  /** Forgets all but global pages: kernels switch address spaces often. */
  void flushNonGlobal() {
    if (others.isComplete()) {
      forget(others);
      others.clear();
    } else {
      flush();
    }
  }

  private void forgetAll() {
    for (int i = 0; i < ENTRIES; i++) {
      forget(entryNumber(i));
    }
  }

  private void forget(FillLog log) {
    for (int n = 0; n < log.size(); n++) {
      forget(entryNumber(log.entry(n)));
    }
  }

  private long entryNumber(int i) {
    return table + ((long) i << ENTRY_LOG2);
  }

  private static void forget(long entry) {
    Hva.writeLong(entry, EMPTY);
    Hva.writeLong(entry + WRITE_TAG, EMPTY);
  }

  void flushPage(long gva) {
    forget(entry(table, gva));
  }

  /** Forgets that the frame at {@code hvaOfFrame} may be written, under any address. */
  void flushWrites(long hvaOfFrame) {
    for (int i = 0; i < ENTRIES; i++) {
      long entry = entryNumber(i);
      if (Hva.readLong(entry + WRITE_TAG) + Hva.readLong(entry + WRITE_ADDEND) == hvaOfFrame) {
        Hva.writeLong(entry + WRITE_TAG, EMPTY);
      }
    }
  }

  void fillRead(long gva, long hva, boolean global) {
    long entry = entry(table, gva);
    Hva.writeLong(entry, gva & -4096L);
    Hva.writeLong(entry + READ_ADDEND, hva - gva);
    log(gva, global);
  }

  void fillWrite(long gva, long hva, boolean global) {
    long entry = entry(table, gva);
    Hva.writeLong(entry + WRITE_TAG, gva & -4096L);
    Hva.writeLong(entry + WRITE_ADDEND, hva - gva);
    log(gva, global);
  }

  private void log(long gva, boolean global) {
    int i = (int) (gva >>> 12) & ENTRIES - 1;
    if (global) {
      globals.add(i);
    } else {
      others.add(i);
    }
  }

  /** The first entries that were filled; complete while there were no more. */
  private static final class FillLog {
    private static final int LIMIT = 512;

    private final short[] entries = new short[LIMIT];
    private int fills;

    void add(int entry) {
      if (fills < LIMIT) {
        entries[fills] = (short) entry;
      }
      if (fills <= LIMIT) {
        fills++;
      }
    }

    boolean isComplete() {
      return fills <= LIMIT;
    }

    int size() {
      return fills;
    }

    int entry(int number) {
      return entries[number];
    }

    void clear() {
      fills = 0;
    }
  }
}
