package memvisor.cpu.x86;

import java.util.Arrays;

/**
 * A direct-mapped software TLB from linear page to host virtual address, for one privilege view.
 *
 * <p>Invisible to the guest and to the modelled counts: it holds only what the translation unit
 * said may be cached, and forgets everything when the unit invalidates. Separate tags for reads and
 * writes; pages that hold translated code, are tracked or belong to devices are never in the write
 * tags.
 */
final class TranslationCache {
  /** Entries per kind. 4096 pages reach 16 MiB; larger did not pay in the kernel boot. */
  static final int ENTRIES = 4096;

  static final int MASK = ENTRIES - 1;

  /** A tag no access can match: page offset bits are set. */
  static final long EMPTY = 0xFFF;

  final long[] readTag = new long[ENTRIES];
  final long[] readAddend = new long[ENTRIES];
  final long[] writeTag = new long[ENTRIES];
  final long[] writeAddend = new long[ENTRIES];

  /** Which entries were filled since they were all empty, for global pages and for others. */
  private final FillLog globals = new FillLog();

  private final FillLog others = new FillLog();

  TranslationCache() {
    Arrays.fill(readTag, EMPTY);
    Arrays.fill(writeTag, EMPTY);
  }

  static int index(long gva) {
    return (int) (gva >>> 12) & MASK;
  }

  void flush() {
    if (globals.isComplete() && others.isComplete()) {
      forget(globals);
      forget(others);
    } else {
      Arrays.fill(readTag, EMPTY);
      Arrays.fill(writeTag, EMPTY);
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

  private void forget(FillLog log) {
    for (int n = 0; n < log.size(); n++) {
      int i = log.entry(n);
      readTag[i] = EMPTY;
      writeTag[i] = EMPTY;
    }
  }

  void flushPage(long gva) {
    int i = index(gva);
    readTag[i] = EMPTY;
    writeTag[i] = EMPTY;
  }

  /** Forgets that the frame at {@code hvaOfFrame} may be written, under any address. */
  void flushWrites(long hvaOfFrame) {
    for (int i = 0; i < ENTRIES; i++) {
      if (writeTag[i] + writeAddend[i] == hvaOfFrame) {
        writeTag[i] = EMPTY;
      }
    }
  }

  void fillRead(long gva, long hva, boolean global) {
    int i = index(gva);
    readTag[i] = gva & -4096L;
    readAddend[i] = hva - gva;
    log(i, global);
  }

  void fillWrite(long gva, long hva, boolean global) {
    int i = index(gva);
    writeTag[i] = gva & -4096L;
    writeAddend[i] = hva - gva;
    log(i, global);
  }

  private void log(int i, boolean global) {
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
