package memvisor.testing;

import java.util.function.LongSupplier;
import java.util.function.LongUnaryOperator;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;

/** Builds page tables of any format in a test machine, in whatever address space they live. */
public final class Tables {
  private final TestMachine machine;
  private final PagingFormat format;
  private final LongSupplier newTable;
  private final LongUnaryOperator toHpa;
  private final long[] roots = new long[4];

  /** Tables over HPA itself. */
  public static Tables inMachine(TestMachine machine, PagingFormat format) {
    return new Tables(machine, format, machine::frame, hpa -> hpa);
  }

  public Tables(
      TestMachine machine, PagingFormat format, LongSupplier newTable, LongUnaryOperator toHpa) {
    this.machine = machine;
    this.format = format;
    this.newTable = newTable;
    this.toHpa = toHpa;
    int count = format.mode() == PagingMode.PAE ? 4 : 1;
    for (int i = 0; i < count; i++) {
      roots[i] = newTable.getAsLong();
    }
  }

  public long root() {
    return roots[0];
  }

  public PagingFormat format() {
    return format;
  }

  /** Registers that select these tables, with paging on. */
  public PagingState state(int physicalAddressBits) {
    PagingState state = new PagingState();
    PagingMode mode = format.mode();
    boolean pae = mode != PagingMode.BITS_32;
    boolean longMode = pae && mode != PagingMode.PAE;
    state.setPhysicalAddressBits(physicalAddressBits);
    state.setCr0(PagingState.CR0_PG | PagingState.CR0_PE | PagingState.CR0_WP);
    state.setCr4(
        PagingState.CR4_PSE
            | PagingState.CR4_PGE
            | (pae ? PagingState.CR4_PAE : 0)
            | (mode == PagingMode.LEVELS_5 ? PagingState.CR4_LA57 : 0));
    state.setEfer(
        (pae ? PagingState.EFER_NXE : 0)
            | (longMode ? PagingState.EFER_LMA | PagingState.EFER_LME : 0));
    state.setCr3(roots[0]);
    if (mode == PagingMode.PAE) {
      for (int i = 0; i < 4; i++) {
        state.setPdpte(i, roots[i] | 1);
      }
    }
    return state;
  }

  /** HPA of the entry for {@code address} at {@code level}; tables above are made when missing. */
  public long entryHpa(long address, int level) {
    long table = roots[format.mode() == PagingMode.PAE ? (int) (address >>> 30 & 3) : 0];
    for (int at = format.levels(); ; at--) {
      long hpa =
          toHpa.applyAsLong(table) + (long) format.index(address, at) * format.entrySizeBytes();
      if (at == level) {
        return hpa;
      }
      long entry = read(hpa);
      if (!format.isPresent(entry)) {
        entry = format.tableEntry(newTable.getAsLong(), Rights.ALL);
        write(hpa, entry);
      }
      table = format.tableAddress(entry);
    }
  }

  /** Maps the page of {@code level} around {@code address}. */
  public void map(long address, int level, long target, int rights) {
    set(address, level, format.leafEntry(target, level, rights));
  }

  public long get(long address, int level) {
    return read(entryHpa(address, level));
  }

  public void set(long address, int level, long entry) {
    write(entryHpa(address, level), entry);
  }

  private long read(long hpa) {
    return format.entrySizeBytes() == 8 ? machine.read(hpa) : machine.read(hpa) & 0xFFFF_FFFFL;
  }

  private void write(long hpa, long entry) {
    if (format.entrySizeBytes() == 8) {
      machine.write(hpa, entry);
    } else {
      machine.write32(hpa, (int) entry);
    }
  }
}
