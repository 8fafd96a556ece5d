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

  /** A flush after so few fills clears the filled entries only: kernels switch CR3 often. */
  private static final int LOGGED = 512;

  final long[] readTag = new long[ENTRIES];
  final long[] readAddend = new long[ENTRIES];
  final long[] writeTag = new long[ENTRIES];
  final long[] writeAddend = new long[ENTRIES];

  private final short[] filled = new short[LOGGED];
  private int fills;

  TranslationCache() {
    Arrays.fill(readTag, EMPTY);
    Arrays.fill(writeTag, EMPTY);
  }

  static int index(long gva) {
    return (int) (gva >>> 12) & MASK;
  }

  void flush() {
    if (fills > LOGGED) {
      Arrays.fill(readTag, EMPTY);
      Arrays.fill(writeTag, EMPTY);
    } else {
      for (int i = 0; i < fills; i++) {
        readTag[filled[i]] = EMPTY;
        writeTag[filled[i]] = EMPTY;
      }
    }
    fills = 0;
  }

  void flushPage(long gva) {
    int i = index(gva);
    readTag[i] = EMPTY;
    writeTag[i] = EMPTY;
  }

  void flushWrites() {
    if (fills > LOGGED) {
      Arrays.fill(writeTag, EMPTY);
    } else {
      for (int i = 0; i < fills; i++) {
        writeTag[filled[i]] = EMPTY;
      }
    }
  }

  void fillRead(long gva, long hva) {
    int i = index(gva);
    readTag[i] = gva & -4096L;
    readAddend[i] = hva - gva;
    log(i);
  }

  void fillWrite(long gva, long hva) {
    int i = index(gva);
    writeTag[i] = gva & -4096L;
    writeAddend[i] = hva - gva;
    log(i);
  }

  private void log(int i) {
    if (fills < LOGGED) {
      filled[fills] = (short) i;
    }
    if (fills <= LOGGED) {
      fills++;
    }
  }
}
