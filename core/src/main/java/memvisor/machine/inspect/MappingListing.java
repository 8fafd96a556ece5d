package memvisor.machine.inspect;

import java.util.function.Consumer;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.Rights;

/** The mappings of the guest's tables in the words of QEMU 7.2's monitor. */
public final class MappingListing {
  private static final String PAGING_OFF = "PG disabled";

  private static final String TOO_MANY = "(more tables than can be listed)";

  /** What one character of {@code info tlb} stands for: its bit in the entry. */
  private static final int[] FLAG_BITS = {63, 8, 7, 6, 5, 4, 3, 2, 1};

  /** NX, global, page size (in a PTE: PAT), dirty, accessed, PCD, PWT, user, writable. */
  private static final String FLAG_LETTERS = "XGPDACTUW";

  private MappingListing() {}

  /**
   * {@code info tlb}: one line per page, {@code GVA: GPA flags}, with the flags of the entry that
   * maps it. (QEMU leaves NX of PAE entries in the printed GPA; here it is not.)
   */
  public static void tlb(GuestTables tables, Consumer<String> lines) {
    if (!tables.state().paging()) {
      lines.accept(PAGING_OFF);
      return;
    }
    if (!tables.forEachLeaf(leaf -> lines.accept(tlbLine(leaf)))) {
      lines.accept(TOO_MANY);
    }
  }

  private static String tlbLine(Leaf leaf) {
    StringBuilder line = new StringBuilder(45);
    appendHex(line, leaf.gva());
    line.append(": ");
    appendHex(line, leaf.gpa());
    line.append(' ');
    for (int i = 0; i < FLAG_BITS.length; i++) {
      line.append((leaf.entry() >>> FLAG_BITS[i] & 1) != 0 ? FLAG_LETTERS.charAt(i) : '-');
    }
    return line.toString();
  }

  private static void appendHex(StringBuilder line, long value) {
    String digits = Long.toHexString(value);
    line.repeat('0', 16 - digits.length()).append(digits);
  }

  /**
   * {@code info mem}: one line per run of addresses that may be used alike, {@code first-end size
   * urw}, with what all entries on the way grant together.
   */
  public static void mem(GuestTables tables, Consumer<String> lines) {
    if (!tables.state().paging()) {
      lines.accept(PAGING_OFF);
      return;
    }
    Runs runs = new Runs(PagingFormat.of(tables.state()).mode(), lines);
    boolean complete = tables.forEachLeaf(runs::add);
    runs.flush();
    if (!complete) {
      lines.accept(TOO_MANY);
    }
  }

  /** Joins neighbouring pages with equal rights. */
  private static final class Runs {
    private static final int SHOWN = Rights.READ | Rights.WRITE | Rights.USER;

    private final PagingMode mode;
    private final Consumer<String> lines;
    private long start;
    private long end;
    private int rights;

    Runs(PagingMode mode, Consumer<String> lines) {
      this.mode = mode;
      this.lines = lines;
    }

    void add(Leaf leaf) {
      int shown = leaf.rights() & SHOWN;
      if (leaf.address() != end || shown != rights) {
        flush();
        start = leaf.address();
        rights = shown;
      }
      end = leaf.address() + (1L << leaf.sizeLog2());
    }

    void flush() {
      if (end > start) {
        StringBuilder line = new StringBuilder(55);
        appendHex(line, GuestTables.canonical(mode, start));
        line.append('-');
        appendHex(line, GuestTables.canonical(mode, end));
        line.append(' ');
        appendHex(line, GuestTables.canonical(mode, end - start));
        line.append(' ')
            .append((rights & Rights.USER) != 0 ? 'u' : '-')
            .append('r')
            .append((rights & Rights.WRITE) != 0 ? 'w' : '-');
        lines.accept(line.toString());
      }
      start = 0;
      end = 0;
    }
  }
}
