package memvisor.lab;

import java.util.HashMap;
import java.util.Map;
import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.HostMemory;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.paging.WalkTrace;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TlbCounters;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * One walk to learn from: real tables of a given shape in a small machine, walked by the walker
 * that guests run on. Two neighbouring pages are mapped, so that the second shows what caches save.
 *
 * <p>Guest frames lie scattered in machine memory: an address and its translation never look alike.
 */
public final class WalkLesson implements AutoCloseable {
  private static final int PHYSICAL_ADDRESS_BITS = 46;
  private static final int PAGE_BYTES = 4096;
  private static final long SMALL_MACHINE_BYTES = 256L << 20;
  private static final long LARGE_MACHINE_BYTES = 4L << 30;

  private static final long NESTED_TABLES_HPA = 0x10_0000;
  private static final long GUEST_TABLES_GPA = 0x1_1000;
  private static final long SMALL_PAGE_GPA = 0x0765_4000;
  private static final long GIGABYTE_PAGE_GPA = 1L << 30;

  /** Odd, so that consecutive guest frames lie apart. */
  private static final int SCATTER_FRAMES = 5;

  private final WalkShape shape;
  private final HostMemory host;
  private final MachineMemory machine;
  private final PagingFormat guestFormat;
  private final PagingFormat nestedFormat;
  private final PagingState registers;
  private final Map<Long, Long> backing = new HashMap<>();
  private final long gva;
  private long nextNestedTable = NESTED_TABLES_HPA;
  private long nextGuestTable = GUEST_TABLES_GPA;
  private long nextFrame;
  private final long nestedRoot;

  /** Builds the tables. */
  public WalkLesson(WalkShape shape) {
    this.shape = shape;
    boolean gigabytes =
        shape.guestPage() == PageSize.SIZE_1G || shape.nestedPage() == PageSize.SIZE_1G;
    host = HostMemory.create(gigabytes ? LARGE_MACHINE_BYTES : SMALL_MACHINE_BYTES);
    machine = host.machine();
    nextFrame = gigabytes ? 1L << 30 : SMALL_MACHINE_BYTES / 4;
    guestFormat = PagingFormat.x86(shape.guest(), PHYSICAL_ADDRESS_BITS, true, true);
    nestedFormat = PagingFormat.ept(shape.nestedLevels(), PHYSICAL_ADDRESS_BITS, true);
    gva = addressFor(shape.guest());
    nestedRoot = newNestedTable();
    registers = registersFor(shape.guest());
    long data =
        shape.guestPage() == PageSize.SIZE_1G
            ? GIGABYTE_PAGE_GPA
            : SMALL_PAGE_GPA & ~shape.guestPage().offsetMask();
    mapGuest(gva, data);
    mapGuest(neighbour(), data ^ shape.guestPage().sizeBytes());
  }

  /** What caches do to a walk: entries read by three translations in turn, with a full-size TLB. */
  public record CachedCosts(
      long neighbourReferences, long guestReferences, long nestedReferences, long again) {
    /** Entries read for the address after its neighbour was used. */
    public long references() {
      return guestReferences + nestedReferences;
    }
  }

  /** The walk with nothing cached. */
  public WalkTrace cold() {
    return unit(TlbConfiguration.OFF).explain(gva, Access.READ).orElseThrow();
  }

  /** The same walk just after one of the page beside it, with the default TLB and caches. */
  public CachedCosts cached() {
    TranslationUnit unit = unit(TlbConfiguration.DEFAULT);
    TlbCounters atFirst = unit.counters();
    read(unit, neighbour());
    TlbCounters afterNeighbour = unit.counters();
    read(unit, gva);
    TlbCounters afterwards = unit.counters();
    read(unit, gva);
    TlbCounters own = afterwards.since(afterNeighbour);
    return new CachedCosts(
        afterNeighbour.since(atFirst).allReferences(),
        own.references(),
        own.nestedReferences(),
        unit.counters().since(afterwards).allReferences());
  }

  /** The shape asked for. */
  public WalkShape shape() {
    return shape;
  }

  @Override
  public void close() {
    host.close();
  }

  private TranslationUnit unit(TlbConfiguration configuration) {
    TranslationUnit unit = new TranslationUnit(machine, registers, configuration);
    if (shape.nestedLevels() == 0) {
      unit.hostTables(registers, 1);
    } else {
      unit.nested(nestedFormat, nestedRoot, 1);
    }
    return unit;
  }

  private static void read(TranslationUnit unit, long address) {
    TranslationResult result = new TranslationResult();
    unit.translate(address, Access.READ, result);
    if (result.kind != TranslationResult.MAPPED) {
      throw new IllegalStateException("gva=0x%x kind=%d".formatted(address, result.kind));
    }
  }

  private long neighbour() {
    return gva ^ shape.guestPage().sizeBytes();
  }

  /** An address whose index differs at every level. */
  private static long addressFor(PagingMode mode) {
    return switch (mode) {
      case BITS_32, PAE -> 0x5234_5678L;
      case LEVELS_5 -> 0xA1_B2C3_D4E5_F678L;
      default -> 0x7F12_3456_7ABCL;
    };
  }

  private PagingState registersFor(PagingMode mode) {
    PagingState state = new PagingState();
    state.setPhysicalAddressBits(PHYSICAL_ADDRESS_BITS);
    state.setCr0(PagingState.CR0_PE | PagingState.CR0_PG | PagingState.CR0_WP);
    boolean wide = mode == PagingMode.LEVELS_4 || mode == PagingMode.LEVELS_5;
    state.setCr4(
        (mode == PagingMode.BITS_32 ? PagingState.CR4_PSE : PagingState.CR4_PAE)
            | (mode == PagingMode.LEVELS_5 ? PagingState.CR4_LA57 : 0));
    state.setEfer(PagingState.EFER_NXE | (wide ? PagingState.EFER_LME | PagingState.EFER_LMA : 0));
    long root = newGuestTable();
    state.setCr3(root);
    if (mode == PagingMode.PAE) {
      for (int i = 0; i < 4; i++) {
        state.setPdpte(i, (i == 0 ? root : newGuestTable()) | 1);
      }
    }
    return state;
  }

  // ---- the guest's tables
  // ------------------------------------------------------------------------

  private void mapGuest(long address, long pageGpa) {
    int leafLevel = WalkShape.levelOf(shape.guestPage());
    long table =
        shape.guest() == PagingMode.PAE
            ? registers.pdpte((int) (address >>> 30)) & -PAGE_BYTES
            : registers.cr3();
    for (int level = guestFormat.levels(); level > leafLevel; level--) {
      long at = entryHpa(table, address, level);
      long entry = readEntry(at);
      if (!guestFormat.isPresent(entry)) {
        entry = guestFormat.tableEntry(newGuestTable(), Rights.ALL);
        writeEntry(at, entry);
      }
      table = guestFormat.tableAddress(entry);
    }
    writeEntry(
        entryHpa(table, address, leafLevel),
        guestFormat.leafEntry(pageGpa, leafLevel, Rights.READ | Rights.WRITE | Rights.USER));
    hpaOf(pageGpa | address & shape.guestPage().offsetMask());
  }

  private long newGuestTable() {
    long gpa = nextGuestTable;
    nextGuestTable += 3L * PAGE_BYTES;
    hpaOf(gpa);
    return gpa;
  }

  private long entryHpa(long tableGpa, long address, int level) {
    return hpaOf(tableGpa)
        + (long) guestFormat.index(address, level) * guestFormat.entrySizeBytes();
  }

  private long readEntry(long hpa) {
    long hva = machine.hva(hpa);
    return guestFormat.entrySizeBytes() == 8 ? Hva.readLong(hva) : Hva.readInt(hva) & 0xFFFF_FFFFL;
  }

  private void writeEntry(long hpa, long entry) {
    if (guestFormat.entrySizeBytes() == 8) {
      Hva.writeLong(machine.hva(hpa), entry);
    } else {
      Hva.writeInt(machine.hva(hpa), (int) entry);
    }
  }

  // ---- the nested tables
  // -------------------------------------------------------------------------

  /** Where a guest-physical address lies; maps its page when it is new. */
  private long hpaOf(long gpa) {
    if (shape.nestedLevels() == 0) {
      return gpa;
    }
    long mask = shape.nestedPage().offsetMask();
    long page = gpa & ~mask;
    Long known = backing.get(page);
    if (known == null) {
      known = newFrame(mask);
      backing.put(page, known);
      mapNested(page, known);
    }
    return known | gpa & mask;
  }

  private long newFrame(long mask) {
    long hpa = nextFrame + mask & ~mask;
    nextFrame = hpa + (mask + 1 > PAGE_BYTES ? mask + 1 : (long) SCATTER_FRAMES * PAGE_BYTES);
    return hpa;
  }

  private void mapNested(long gpa, long hpa) {
    int leafLevel = WalkShape.levelOf(shape.nestedPage());
    long table = nestedRoot;
    for (int level = nestedFormat.levels(); level > leafLevel; level--) {
      long hva = machine.hva(table + nestedFormat.index(gpa, level) * 8L);
      long entry = Hva.readLong(hva);
      if (!nestedFormat.isPresent(entry)) {
        entry = nestedFormat.tableEntry(newNestedTable(), Rights.ALL);
        Hva.writeLong(hva, entry);
      }
      table = nestedFormat.tableAddress(entry);
    }
    long hva = machine.hva(table + nestedFormat.index(gpa, leafLevel) * 8L);
    Hva.writeLong(hva, nestedFormat.leafEntry(hpa, leafLevel, Rights.ALL));
  }

  private long newNestedTable() {
    long hpa = nextNestedTable;
    nextNestedTable += PAGE_BYTES;
    return hpa;
  }
}
