package memvisor.tlb;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Reference;
import memvisor.paging.Rights;
import memvisor.paging.Translation;
import memvisor.paging.WalkTrace;
import memvisor.testing.Tables;
import memvisor.testing.TestMachine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Two-dimensional walks: how many references, which faults, which flags. */
class NestedWalkTest {
  private static final long GVA = 0x12_3456_7000L & 0x3FFF_FFFFL;
  private static final long DATA = 5 << 12;
  private static final int BITS = NestedGuest.BITS;

  record Shape(PagingMode guest, PagingFormat nested, int leafLevel, int references) {
    @Override
    public String toString() {
      return guest + " on " + nested.mode() + ", leaf at level " + leafLevel + ": " + references;
    }
  }

  static Stream<Shape> shapes() {
    PagingFormat ept4 = PagingFormat.ept(4, BITS, true);
    PagingFormat ept5 = PagingFormat.ept(5, BITS, false);
    return Stream.of(
        new Shape(PagingMode.LEVELS_4, ept4, 1, 24),
        new Shape(PagingMode.LEVELS_4, PagingFormat.ept(4, BITS, false), 1, 24),
        new Shape(PagingMode.LEVELS_4, PagingFormat.npt(4, BITS), 1, 24),
        new Shape(PagingMode.LEVELS_5, ept5, 1, 35),
        new Shape(PagingMode.LEVELS_5, PagingFormat.npt(5, BITS), 1, 35),
        new Shape(PagingMode.LEVELS_4, ept5, 1, 29),
        new Shape(PagingMode.LEVELS_5, ept4, 1, 29),
        new Shape(PagingMode.LEVELS_4, ept4, 2, 19),
        new Shape(PagingMode.LEVELS_4, ept4, 3, 14),
        new Shape(PagingMode.PAE, ept4, 1, 14),
        new Shape(PagingMode.BITS_32, ept4, 1, 14));
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void aColdWalkTakesExactlyItsReferences(Shape shape) {
    NestedGuest guest = new NestedGuest(shape.guest, shape.nested);
    long target = shape.leafLevel == 1 ? DATA : 0;
    long gva = shape.leafLevel == 1 ? GVA : 0x3000;
    guest.tables.map(gva, shape.leafLevel, target, Rights.ALL);
    TranslationUnit unit = guest.unit();
    WalkTrace trace = unit.explain(gva, Access.READ).orElseThrow();
    assertThat(trace.references()).hasSize(shape.references);
    assertThat(unit.counters().allReferences()).isZero();

    TranslationUnit cold = guest.unit(TlbConfiguration.OFF);
    assertThat(NestedGuest.translate(cold, gva, Access.READ).kind)
        .isEqualTo(TranslationResult.MAPPED);
    assertThat(cold.counters().allReferences()).isEqualTo(shape.references);
  }

  @Test
  void aColdFourOnFourWalkListsEachReferenceInOrder() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    WalkTrace trace = guest.unit().explain(GVA + 0x123, Access.WRITE).orElseThrow();
    List<String> nested = List.of("EPT PML4E", "EPT PDPTE", "EPT PDE", "EPT PTE");
    List<String> names = new java.util.ArrayList<>();
    for (String own : List.of("PML4E", "PDPTE", "PDE", "PTE")) {
      names.addAll(nested);
      names.add(own);
    }
    names.addAll(nested);
    assertThat(trace.references().stream().map(Reference::name)).isEqualTo(names);
    for (Reference reference : trace.references()) {
      assertThat(guest.machine.read(reference.hpa().value())).isEqualTo(reference.entry());
      if (reference.dimension() == Reference.Dimension.FIRST) {
        assertThat(guest.hpa(reference.address())).isEqualTo(reference.hpa().value());
      }
    }
    assertThat(trace.outcome())
        .isInstanceOfSatisfying(
            Translation.Mapped.class,
            mapped -> {
              assertThat(mapped.hpa().value()).isEqualTo(guest.hpa(DATA) + 0x123);
              assertThat(mapped.gpa().orElseThrow().value()).isEqualTo(DATA + 0x123);
              assertThat(mapped.pageSizeLog2()).isEqualTo(12);
            });
    assertThat(guest.tables.get(GVA, 1) & 0x60).as("explaining sets no flag").isZero();
    assertThat(trace.toString()).contains(" 24  EPT PTE").contains("mapped to hpa");
  }

  @Test
  void withPagingOffOnlyTheSecondDimensionIsWalked() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.state.setCr0(PagingState.CR0_PE);
    guest.state.setCr4(PagingState.CR4_SMEP | PagingState.CR4_SMAP);
    TranslationUnit unit = guest.unit();
    TranslationResult result = NestedGuest.translate(unit, 0x5678, Access.WRITE);
    assertThat(result.kind).isEqualTo(TranslationResult.MAPPED);
    assertThat(result.hpa).isEqualTo(guest.hpa(0x5678));
    assertThat(result.gpa).isEqualTo(0x5678);
    assertThat(unit.counters().allReferences()).isEqualTo(4);
  }

  // ---- faults of the second dimension ---------------------------------------------------------

  record Violation(String behaviour, int access, int rights, long qualification) {
    @Override
    public String toString() {
      return behaviour;
    }
  }

  static Stream<Violation> violations() {
    int r = Rights.READ;
    int w = Rights.WRITE;
    int x = Rights.EXECUTE;
    return Stream.of(
        new Violation("read of nothing", Access.READ, 0, 0b1_1000_0001),
        new Violation("write of nothing", Access.WRITE, 0, 0b1_1000_0010),
        new Violation("fetch of nothing", Access.FETCH, 0, 0b1_1000_0100),
        new Violation("write of r-x", Access.WRITE, r | x, 0b1_1010_1010),
        new Violation("write of r--", Access.WRITE, r, 0b1_1000_1010),
        new Violation("fetch of rw-", Access.FETCH, r | w, 0b1_1001_1100),
        new Violation("read of --x", Access.READ, x, 0b1_1010_0001));
  }

  @ParameterizedTest
  @MethodSource("violations")
  void anEptViolationOfTheFinalAddressIsQualified(Violation violation) {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    guest.nested.set(
        DATA,
        1,
        violation.rights == 0
            ? 0
            : guest.nestedFormat.leafEntry(guest.hpa(DATA), 1, violation.rights));
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA + 8, violation.access);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.gpa).isEqualTo(DATA + 8);
    assertThat(result.misconfiguration).isFalse();
    assertThat(Long.toBinaryString(result.qualification))
        .isEqualTo(Long.toBinaryString(violation.qualification));
  }

  private static long tableGpa(NestedGuest guest, int level) {
    return guest.tables.format().tableAddress(guest.tables.get(GVA, level + 1));
  }

  @Test
  void aViolationOnATableIsAReadAndAWriteWithEptFlagsOn() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    long table = tableGpa(guest, 1);
    guest.nested.map(table, 1, guest.hpa(table), Rights.READ);
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, Access.FETCH);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.gpa).isEqualTo(table + 8L * guest.tables.format().index(GVA, 1));
    assertThat(result.qualification).isEqualTo(0b0_1000_1011);
  }

  @Test
  void settingAFlagInAReadOnlyTableIsAWriteViolationWithEptFlagsOff() {
    NestedGuest guest = new NestedGuest(PagingMode.LEVELS_4, PagingFormat.ept(4, BITS, false));
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    long table = tableGpa(guest, 1);
    guest.nested.map(table, 1, guest.hpa(table), Rights.READ);
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, Access.READ);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.qualification).isEqualTo(0b0_1000_1010);
    guest.tables.set(GVA, 1, guest.tables.get(GVA, 1) | 0x20);
    assertThat(NestedGuest.translate(guest.unit(), GVA, Access.READ).kind)
        .as("nothing is left to set")
        .isEqualTo(TranslationResult.MAPPED);
    assertThat(NestedGuest.translate(guest.unit(), GVA, Access.WRITE).kind)
        .as("the dirty flag is")
        .isEqualTo(TranslationResult.NESTED_FAULT);
  }

  @Test
  void aMisconfigurationIsNotAViolation() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    guest.nested.set(DATA, 1, guest.hpa(DATA) | 2);
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, Access.READ);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.misconfiguration).isTrue();
  }

  @Test
  void theGuestsOwnFaultComesBeforeTheSecondDimensions() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.READ);
    guest.nested.set(DATA, 1, 0);
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, Access.WRITE);
    assertThat(result.kind).isEqualTo(TranslationResult.PAGE_FAULT);
    assertThat(result.errorCode).isEqualTo(3);
  }

  record NestedPageFault(String behaviour, boolean onTable, int access, long entry, long error) {
    @Override
    public String toString() {
      return behaviour;
    }
  }

  static Stream<NestedPageFault> nestedPageFaults() {
    long last = 1L << 32;
    long table = 1L << 33;
    return Stream.of(
        new NestedPageFault("read of nothing", false, Access.READ, 0, last | 4),
        new NestedPageFault("supervisor page", false, Access.READ, 3, last | 5),
        new NestedPageFault("write of a read-only page", false, Access.WRITE, 5, last | 7),
        new NestedPageFault("fetch of NX", false, Access.FETCH, Long.MIN_VALUE | 7, last | 0x15),
        new NestedPageFault("reserved bit", false, Access.READ, 1L << 45 | 7, last | 0xD),
        new NestedPageFault("a table's absence is a write", true, Access.READ, 0, table | 6),
        new NestedPageFault("a read-only table", true, Access.READ, 5, table | 7));
  }

  @ParameterizedTest
  @MethodSource("nestedPageFaults")
  void anNptFaultIsAUserPageFaultWithItsPlace(NestedPageFault c) {
    NestedGuest guest = new NestedGuest(PagingMode.LEVELS_4, PagingFormat.npt(4, BITS));
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    long gpa = c.onTable ? tableGpa(guest, 1) : DATA;
    guest.nested.set(gpa, 1, c.entry == 0 ? 0 : c.entry | guest.hpa(gpa));
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, c.access);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(Long.toHexString(result.qualification)).isEqualTo(Long.toHexString(c.error));
    assertThat(result.misconfiguration).isFalse();
  }

  @Test
  void theWalkSetsFlagsInBothDimensions() {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, DATA, Rights.ALL);
    TranslationUnit unit = guest.unit();
    NestedGuest.translate(unit, GVA, Access.READ);
    assertThat(guest.tables.get(GVA, 1) & 0x60).isEqualTo(0x20);
    assertThat(guest.nested.get(DATA, 1) & 0x300).isEqualTo(0x100);
    assertThat(guest.nested.get(tableGpa(guest, 1), 1) & 0x300).as("tables").isEqualTo(0x300);
    NestedGuest.translate(unit, GVA, Access.WRITE);
    assertThat(guest.tables.get(GVA, 1) & 0x60).isEqualTo(0x60);
    assertThat(guest.nested.get(DATA, 1) & 0x300).isEqualTo(0x300);
  }

  @Test
  void aGuestPhysicalAddressBeyondTheNestedWidthIsAViolation() {
    PagingFormat wide = PagingFormat.x86(PagingMode.LEVELS_4, 52, true, true);
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.state.setPhysicalAddressBits(52);
    guest.tables.set(GVA, 1, wide.leafEntry(1L << 50, 1, Rights.ALL));
    TranslationResult result = NestedGuest.translate(guest.unit(), GVA, Access.READ);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.gpa).isEqualTo(1L << 50);
  }

  // ---- partition and host tables ---------------------------------------------------------------

  @ParameterizedTest
  @ValueSource(longs = {0x40_0000, 0x7FFF_F000, 0xFF_FFFF_F000L})
  void aPartitionEndsAtItsLimit(long outside) {
    TestMachine machine = new TestMachine(8 << 20);
    long base = 0x20_0000;
    long limit = 0x40_0000;
    PagingFormat format = PagingFormat.x86(PagingMode.LEVELS_4, BITS, true, true);
    long[] next = {limit};
    Tables tables = new Tables(machine, format, () -> next[0] -= 4096, gpa -> base + gpa);
    tables.map(GVA, 1, limit - 4096 * 20, Rights.ALL);
    tables.map(GVA + 4096, 1, outside, Rights.ALL);
    tables.map(0x4000_0000, 2, limit - 0x20_0000, Rights.ALL);
    tables.map(0x4020_0000, 2, limit, Rights.ALL);
    tables.set(0x8000_0000L, 3, format.tableEntry(outside, Rights.ALL));
    TranslationUnit unit = new TranslationUnit(machine.memory(), tables.state(BITS));
    unit.partition(base, limit);
    TranslationResult inside = NestedGuest.translate(unit, GVA + 9, Access.WRITE);
    assertThat(inside.kind).isEqualTo(TranslationResult.MAPPED);
    assertThat(inside.hpa).isEqualTo(base + limit - 4096 * 20 + 9);
    assertThat(inside.gpa).isEqualTo(limit - 4096 * 20 + 9);
    assertThat(NestedGuest.translate(unit, 0x401F_FFFF, 0).hpa).isEqualTo(base + limit - 1);
    expectStop(unit, GVA + 4096 + 9, outside + 9, 0b1_1000_0001);
    expectStop(unit, 0x4020_0000, limit, 0b1_1000_0001);
    expectStop(unit, 0x8000_0000L, outside, 0b0_1000_0001);
  }

  private static void expectStop(TranslationUnit unit, long gva, long gpa, long qualification) {
    TranslationResult result = NestedGuest.translate(unit, gva, Access.READ);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.gpa).isEqualTo(gpa);
    assertThat(result.qualification).isEqualTo(qualification);
  }

  @Test
  void aHostTableThatNamesNoMemoryFailsLoudly() {
    TestMachine machine = new TestMachine(1 << 20);
    Tables tables =
        Tables.inMachine(machine, PagingFormat.x86(PagingMode.LEVELS_4, BITS, true, true));
    tables.map(GVA, 1, 1 << 20, Rights.ALL);
    TranslationUnit unit = new TranslationUnit(machine.memory(), new PagingState());
    unit.hostTables(tables.state(BITS), 3);
    assertThatThrownBy(() -> NestedGuest.translate(unit, GVA, 0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("hpa=0x100000");
  }

  @Test
  void trapTranslatesNothingAndExplainsNothing() {
    NestedGuest guest = NestedGuest.fourOnFour();
    TranslationUnit unit = guest.unit();
    unit.trap();
    assertThat(NestedGuest.translate(unit, GVA, 0).kind).isEqualTo(TranslationResult.TRAPPED);
    assertThat(unit.explain(GVA, 0)).isEmpty();
  }
}
