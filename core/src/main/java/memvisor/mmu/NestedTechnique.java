package memvisor.mmu;

import java.util.List;
import java.util.SortedMap;
import java.util.function.LongConsumer;
import memvisor.memory.Backing;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * Two-dimensional paging: the guest keeps its own tables, and EPT or NPT tables of the monitor
 * translate every guest physical address on the way (Intel SDM vol. 3C, 29.3; AMD APM vol. 2,
 * 15.25).
 *
 * <p>The tables start empty and are filled by violations. Guest page faults never exit.
 */
public final class NestedTechnique implements Technique {
  /** The access was a write: EPT-violation qualification and EXITINFO1 agree on this bit. */
  private static final long QUALIFICATION_WRITE = 1 << 1;

  /** The access was to the final address, not to a guest table (SDM vol. 3C, table 28-7). */
  private static final long EPT_FINAL = 1 << 8;

  /** The same in EXITINFO1 (APM vol. 2, 15.25.6). */
  private static final long NPT_FINAL = 1L << 32;

  /** MAXPHYADDR of the machine, the widest there is. */
  private static final int PHYSICAL_ADDRESS_BITS = 52;

  /** Attempts that find the same violation again before the VM is given up. */
  private static final int SAME_VIOLATION_LIMIT = 64;

  private final VmBacking backing;
  private final PagingFormat format;
  private final NestedTables tables;
  private final Units units = new Units();
  private final Counters counters = new Counters();
  private int nextTag = 1;

  /** The nested technique with default options. */
  public NestedTechnique(VmBacking backing) {
    this(backing, NestedOptions.DEFAULT);
  }

  /** The nested technique over one VM's memory. */
  public NestedTechnique(VmBacking backing, NestedOptions options) {
    this.backing = backing;
    this.format =
        options.amd()
            ? PagingFormat.npt(options.levels(), PHYSICAL_ADDRESS_BITS)
            : PagingFormat.ept(options.levels(), PHYSICAL_ADDRESS_BITS, true);
    this.tables = new NestedTables(backing, format, options.maxPageSize().sizeLog2());
    backing.setDerivedMappings(this);
  }

  @Override
  public String name() {
    return "nested";
  }

  @Override
  public Intercepts intercepts() {
    return Intercepts.NONE;
  }

  /** The HPA of the nested root table (the EPTP's address field). */
  public long rootHpa() {
    return tables.root();
  }

  /** The format of the nested tables. */
  public PagingFormat format() {
    return format;
  }

  @Override
  public synchronized VcpuMmu attach(TranslationUnit unit, PagingState guest) {
    unit.nested(format, tables.root(), nextTag++);
    units.add(unit);
    return new Mmu(new EmulatedAccess(backing, guest, counters));
  }

  @Override
  public synchronized void invalidate(long firstGfn, long count) {
    forget(firstGfn, count, false);
  }

  @Override
  public synchronized void writeProtect(long firstGfn, long count) {
    forget(firstGfn, count, true);
  }

  @Override
  public synchronized boolean harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
    tables.harvestAccessed(firstGfn << 12, firstGfn + count << 12, accessed);
    flush();
    return true;
  }

  private void forget(long firstGfn, long count, boolean onlyWrites) {
    counters.invalidations++;
    tables.forget(firstGfn << 12, firstGfn + count << 12, onlyWrites);
    flush();
  }

  /** Throws every nested entry away; the guest cannot tell. */
  public synchronized void dropAll() {
    tables.clear();
    flush();
  }

  /** Makes hardware forget what the tables no longer say, then gives dropped tables back. */
  private void flush() {
    if (tables.takeStale()) {
      units.invalidateAll();
    }
    tables.releaseDropped();
  }

  @Override
  public synchronized TechniqueStatistics statistics() {
    SortedMap<String, Long> map = counters.toMap();
    map.put("tables-created", tables.tablesCreated);
    map.put("leaves-mapped", tables.leavesMapped);
    map.put("large-leaves-mapped", tables.largeLeavesMapped);
    map.put("leaves-dropped", tables.leavesDropped);
    return new TechniqueStatistics(name(), tables.frames(), map);
  }

  private final class Mmu extends UninterceptedMmu {
    private final EmulatedAccess emulated;
    private long lastGpa = -1;
    private long lastInvalidations;
    private int repeats;

    Mmu(EmulatedAccess emulated) {
      this.emulated = emulated;
    }

    @Override
    public void resolve(long gva, int access, TranslationResult result) {
      synchronized (NestedTechnique.this) {
        violation(gva, access, result);
        counters.count(result.kind);
      }
    }

    private void violation(long gva, int access, TranslationResult result) {
      long gpa = result.gpa;
      boolean write = (result.qualification & QUALIFICATION_WRITE) != 0;
      long frame = backing.frame(gpa >>> 12, write);
      if (Backing.isPresent(frame)) {
        boolean mapped = !isStuck(gpa) && tables.map(gpa, frame);
        flush();
        result.kind = mapped ? TranslationResult.RETRY : TranslationResult.FAILED;
      } else if (frame == Backing.NO_FRAME || isFinal(result.qualification)) {
        EmulatedAccess.unmapped(frame, gpa, result);
      } else {
        // A guest table in ROM (its A and D bits cannot be set) or outside memory.
        emulated.perform(gva, access, result);
      }
    }

    private boolean isFinal(long qualification) {
      return (qualification & (format.mode().isEpt() ? EPT_FINAL : NPT_FINAL)) != 0;
    }

    /** A violation that its repair does not cure is a defect of the monitor: fail loudly. */
    private boolean isStuck(long gpa) {
      boolean again = gpa == lastGpa && counters.invalidations == lastInvalidations;
      repeats = again ? repeats + 1 : 0;
      lastGpa = gpa;
      lastInvalidations = counters.invalidations;
      return repeats > SAME_VIOLATION_LIMIT;
    }

    @Override
    public List<DerivedEntry> derivedPath(long gva, long gpa) {
      synchronized (NestedTechnique.this) {
        return tables.path(gpa);
      }
    }
  }
}
