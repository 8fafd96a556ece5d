package memvisor.machine.inspect;

import java.util.OptionalLong;
import java.util.function.Consumer;
import memvisor.address.Access;
import memvisor.host.VmMemory;
import memvisor.memory.Backing;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.memory.VmBacking;
import memvisor.paging.AccessRules;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Reference;
import memvisor.paging.Rights;
import memvisor.paging.TableMemory;
import memvisor.paging.WalkRecorder;
import memvisor.paging.Walker;

/**
 * The guest's own page tables, read through its memory map whatever the technique does with them,
 * and without changing anything: no accessed flag is set and no page populated.
 */
public final class GuestTables {
  private static final int MOST_TABLES = 1 << 16;

  private final MachineMemory machine;
  private final TableMemory memory;
  private final PagingState state;

  /**
   * Tables that {@code memory} locates.
   *
   * @param state the guest's paging registers
   */
  public GuestTables(MachineMemory machine, TableMemory memory, PagingState state) {
    this.machine = machine;
    this.memory = memory;
    this.state = state;
  }

  /** The tables of a VM over its memory. */
  public static GuestTables of(VmBacking backing, PagingState state) {
    return new GuestTables(backing.machine(), new Peeking(backing), state);
  }

  /** The tables of a guest that keeps machine addresses in them. */
  public static GuestTables ofMachine(MachineMemory machine, PagingState state) {
    return new GuestTables(machine, new Machine(machine.sizeBytes()), state);
  }

  /** Reads tables at machine addresses. */
  private record Machine(long sizeBytes) implements TableMemory {
    @Override
    public long locate(long hpa) {
      return hpa >= 0 && hpa <= sizeBytes - 8 ? hpa : UNREACHABLE;
    }

    @Override
    public long locateForUpdate(long hpa) {
      return UNREACHABLE;
    }
  }

  /** Reads tables where they are now; a page that the guest never touched is unreachable. */
  private record Peeking(VmBacking backing) implements TableMemory {
    @Override
    public long locate(long gpa) {
      long frame = backing.peek(gpa >>> 12);
      if (frame == Backing.NO_FRAME
          && backing instanceof VmMemory memory
          && memory.describe(gpa >>> 12).state().isKeptElsewhere()) {
        // A table that was compressed or swapped out comes back, as it would for the guest.
        frame = backing.frame(gpa >>> 12, false);
      }
      return Backing.isPresent(frame) ? Backing.hpa(frame) | gpa & 0xFFF : UNREACHABLE;
    }

    @Override
    public long locateForUpdate(long gpa) {
      return UNREACHABLE;
    }
  }

  /** The guest's paging registers. */
  public PagingState state() {
    return state;
  }

  /**
   * Where a linear address leads, whoever may go there: the answer a debugger wants. Access rights
   * do not count, nor do reserved bits of the leaf. With paging off every address is its own.
   */
  public OptionalLong gva2gpa(long gva) {
    if (!state.paging()) {
      return OptionalLong.of(gva);
    }
    Walker walker = walker();
    int outcome = walker.translate(gva, Access.READ);
    boolean mapped =
        outcome == Walker.MAPPED || outcome == Walker.DENIED || isMalformedLeaf(walker, outcome);
    return mapped ? OptionalLong.of(walker.physicalAddress(gva)) : OptionalLong.empty();
  }

  private static boolean isMalformedLeaf(Walker walker, int outcome) {
    return outcome == Walker.MALFORMED
        && walker.format().isLeaf(walker.entry(walker.level()), walker.level());
  }

  /** Walks for one address and keeps every entry read; paging must be on. */
  public GuestWalk walk(long gva) {
    Walker walker = walker();
    WalkRecorder recorder = new WalkRecorder();
    recorder.attach(walker, Reference.Dimension.FIRST);
    AccessRules rules = AccessRules.of(state);
    int outcome = walker.translate(gva, Access.READ);
    boolean complete = outcome == Walker.MAPPED || outcome == Walker.DENIED;
    return new GuestWalk(
        walker.format(),
        rules,
        gva,
        recorder.references(),
        complete ? Walker.MAPPED : outcome,
        complete ? walker.physicalAddress(gva) : -1,
        complete ? walker.pageSizeLog2() : 0,
        complete ? walker.rights() : 0,
        outcome == Walker.UNREACHABLE ? walker.entryAddress(walker.level()) : -1);
  }

  private Walker walker() {
    Walker walker = new Walker(machine, memory);
    walker.load(state);
    walker.setFlagUpdates(false);
    return walker;
  }

  /**
   * Hands every page that the tables map to {@code action}, in ascending order of address.
   *
   * @return whether that was all: tables that name one another can map more pages than there are
   *     seconds, so that listing ends after 65,536 tables
   */
  public boolean forEachLeaf(Consumer<Leaf> action) {
    Visit visit = new Visit(action);
    PagingFormat format = PagingFormat.of(state);
    if (format.mode() == PagingMode.PAE) {
      for (int i = 0; i < 4; i++) {
        if ((state.pdpte(i) & 1) != 0) {
          long table = format.tableAddress(state.pdpte(i));
          visit.table(format, format.levels(), table, (long) i << 30, Rights.ALL);
        }
      }
    } else {
      visit.table(format, format.levels(), format.tableAddress(state.cr3()), 0, Rights.ALL);
    }
    return visit.budget > 0;
  }

  /** One listing of all pages. */
  private final class Visit {
    private final Consumer<Leaf> action;
    private int budget = MOST_TABLES;

    Visit(Consumer<Leaf> action) {
      this.action = action;
    }

    private void table(PagingFormat format, int level, long table, long base, int rightsAbove) {
      budget--;
      for (int index = 0; index < format.entriesPerTable() && budget > 0; index++) {
        long located = memory.locate(table + (long) index * format.entrySizeBytes());
        if (located == TableMemory.UNREACHABLE) {
          return;
        }
        long entry = read(format, located & ~TableMemory.WRITABLE);
        if (format.isPresent(entry)) {
          long address = base | (long) index << format.shift(level);
          int rights = rightsAbove & format.rights(entry);
          if (format.isLeaf(entry, level)) {
            action.accept(leaf(format, level, address, entry, rights));
          } else {
            table(format, level - 1, format.tableAddress(entry), address, rights);
          }
        }
      }
    }
  }

  private long read(PagingFormat format, long hpa) {
    long hva = machine.hva(hpa);
    return format.entrySizeBytes() == 8 ? Hva.readLong(hva) : Hva.readInt(hva) & 0xFFFF_FFFFL;
  }

  private static Leaf leaf(PagingFormat format, int level, long address, long entry, int rights) {
    return new Leaf(
        address,
        canonical(format.mode(), address),
        format.pageAddress(entry, level),
        format.shift(level),
        entry,
        rights);
  }

  /** The address that the processor uses for one whose bits above the format's width are lost. */
  static long canonical(PagingMode mode, long address) {
    int unused = 64 - mode.addressBits();
    return mode.signExtended() ? address << unused >> unused : address;
  }
}
