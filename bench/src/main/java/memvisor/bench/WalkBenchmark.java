package memvisor.bench;

import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingState;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Nanoseconds for one translation: a hit in the TLB, and walks in one dimension and in two (4-level
 * tables on 4-level EPT), with no caches at all and with only the TLB entry gone. With {@code -prof
 * gc}, also bytes allocated for each, which must be none.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {
      "--enable-native-access=ALL-UNNAMED",
      "--sun-misc-unsafe-memory-access=allow",
      "-XX:+UseSerialGC"
    })
public class WalkBenchmark {
  private static final long MEMORY_BYTES = 1 << 20;
  private static final long GVA = 0x12_3456_7000L;
  private static final int PAGE_BYTES = 4096;
  private static final int LEVELS = 4;
  private static final int BITS = 40;

  /** Present, writable, user, accessed, dirty. */
  private static final long GUEST_ENTRY = 0x67;

  /** Read, write, execute, write-back, accessed, dirty. */
  private static final long LEAF_EPT_ENTRY = 0x337;

  private static final long TABLE_EPT_ENTRY = 7;

  /** Guest frames 0 to 3 hold the tables, frame 4 the data. */
  private static final int GUEST_FRAMES = LEVELS + 1;

  private final TranslationResult result = new TranslationResult();
  private TranslationUnit hitting;
  private TranslationUnit oneCold;
  private TranslationUnit oneWarm;
  private TranslationUnit twoCold;
  private TranslationUnit twoWarm;

  /** Writes the tables. */
  @Setup
  public void build() {
    hitting = nested(TlbConfiguration.DEFAULT);
    twoCold = nested(TlbConfiguration.OFF);
    twoWarm = nested(TlbConfiguration.DEFAULT);
    oneCold = partition(TlbConfiguration.OFF);
    oneWarm = partition(TlbConfiguration.DEFAULT);
    for (TranslationUnit unit :
        new TranslationUnit[] {hitting, twoCold, twoWarm, oneCold, oneWarm}) {
      unit.translate(GVA, Access.WRITE, result);
      if (result.kind != TranslationResult.MAPPED) {
        throw new IllegalStateException("the benchmark's tables are wrong");
      }
    }
  }

  private static MachineMemory machine() {
    return new MachineMemory(
        Arena.global().allocate(MEMORY_BYTES, PAGE_BYTES).address(), MEMORY_BYTES);
  }

  private static PagingState state() {
    PagingState state = new PagingState();
    state.setCr0(PagingState.CR0_PG | PagingState.CR0_PE | PagingState.CR0_WP);
    state.setCr4(PagingState.CR4_PAE);
    state.setEfer(PagingState.EFER_LME | PagingState.EFER_LMA);
    state.setCr3(0);
    return state;
  }

  /** The guest's tables, one a level, in the frames from {@code hva} on. */
  private static void writeGuestTables(long hva) {
    for (int level = LEVELS; level >= 1; level--) {
      int table = LEVELS - level;
      long next = (table + 1L) * PAGE_BYTES;
      Hva.writeLong(hva + (long) table * PAGE_BYTES + slot(GVA, level), next | GUEST_ENTRY);
    }
  }

  /** The byte in a table of {@code level} where the entry for an address lies. */
  private static long slot(long address, int level) {
    return (address >>> 12 + 9 * (level - 1) & 511) * 8;
  }

  private static TranslationUnit partition(TlbConfiguration configuration) {
    MachineMemory machine = machine();
    writeGuestTables(machine.hva(0));
    TranslationUnit unit = new TranslationUnit(machine, state(), configuration);
    unit.partition(0, MEMORY_BYTES);
    return unit;
  }

  private static TranslationUnit nested(TlbConfiguration configuration) {
    MachineMemory machine = machine();
    long guest = 16L * PAGE_BYTES;
    writeGuestTables(machine.hva(guest));
    for (int level = LEVELS; level > 1; level--) {
      int table = LEVELS - level;
      long next = (table + 1L) * PAGE_BYTES;
      Hva.writeLong(machine.hva((long) table * PAGE_BYTES), next | TABLE_EPT_ENTRY);
    }
    for (int gfn = 0; gfn < GUEST_FRAMES; gfn++) {
      long entry = guest + (long) gfn * PAGE_BYTES | LEAF_EPT_ENTRY;
      Hva.writeLong(machine.hva((LEVELS - 1L) * PAGE_BYTES + gfn * 8L), entry);
    }
    TranslationUnit unit = new TranslationUnit(machine, state(), configuration);
    unit.nested(PagingFormat.ept(LEVELS, BITS, true), 0, 1);
    return unit;
  }

  /** The TLB has it. */
  @Benchmark
  public Object tlbHit() {
    hitting.translate(GVA, Access.WRITE, result);
    return result;
  }

  /** 4 references. */
  @Benchmark
  public Object oneDimensionalCold() {
    oneCold.translate(GVA, Access.WRITE, result);
    return result;
  }

  /** INVLPG, then a walk with the paging-structure caches as INVLPG leaves them. */
  @Benchmark
  public Object oneDimensionalAfterInvlpg() {
    oneWarm.invalidatePage(GVA);
    oneWarm.translate(GVA, Access.WRITE, result);
    return result;
  }

  /** 24 references. */
  @Benchmark
  public Object twoDimensionalCold() {
    twoCold.translate(GVA, Access.WRITE, result);
    return result;
  }

  /** INVLPG, then a walk whose second dimension is cached. */
  @Benchmark
  public Object twoDimensionalAfterInvlpg() {
    twoWarm.invalidatePage(GVA);
    twoWarm.translate(GVA, Access.WRITE, result);
    return result;
  }
}
