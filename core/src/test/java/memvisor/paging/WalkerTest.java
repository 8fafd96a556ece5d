package memvisor.paging;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.testing.Tables;
import memvisor.testing.TestMachine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The walker against the manual's rules, stated here a second time and differently. */
class WalkerTest {
  private static final long GVA = 0x1234_5000L;
  private static final int BITS = 40;
  private static final int P = 1;
  private static final int W = 2;
  private static final int U = 4;
  private static final int RSVD = 8;
  private static final int ID = 16;

  private final TestMachine machine = new TestMachine(1 << 20);

  private static PagingFormat format(PagingMode mode) {
    return PagingFormat.x86(mode, BITS, true, true);
  }

  private Walker walker(PagingState state) {
    Walker walker = new Walker(machine.memory(), new PlainTables(machine.memory()));
    walker.load(state);
    return walker;
  }

  // ---- access rights -------------------------------------------------------------------------

  static Stream<PagingMode> x86Modes() {
    return Stream.of(PagingMode.BITS_32, PagingMode.PAE, PagingMode.LEVELS_4, PagingMode.LEVELS_5);
  }

  private static List<Integer> accesses() {
    List<Integer> all = new ArrayList<>();
    for (int kind : new int[] {Access.READ, Access.WRITE, Access.FETCH}) {
      all.add(kind | Access.USER);
      all.add(kind);
      if (kind != Access.FETCH) {
        all.add(kind | Access.AC);
        all.add(kind | Access.IMPLICIT);
        all.add(kind | Access.IMPLICIT | Access.AC);
        all.add(kind | Access.IMPLICIT | Access.USER);
      }
    }
    return all;
  }

  /** SDM vol. 3A, 4.6.1, sentence by sentence. */
  private static boolean manualAllows(
      int access, boolean writable, boolean userPage, boolean noExecute, PagingState state) {
    boolean wp = (state.cr0() & PagingState.CR0_WP) != 0;
    boolean smep = (state.cr4() & PagingState.CR4_SMEP) != 0;
    boolean smap = (state.cr4() & PagingState.CR4_SMAP) != 0;
    boolean implicit = (access & Access.IMPLICIT) != 0;
    boolean supervisor = implicit || (access & Access.USER) == 0;
    boolean write = (access & Access.WRITE) != 0;
    boolean fetch = (access & Access.FETCH) != 0;
    boolean alignmentCheck = (access & Access.AC) != 0;
    if (!supervisor) {
      if (!userPage) {
        return false;
      }
      return fetch ? !noExecute : !write || writable;
    }
    if (fetch) {
      return userPage ? !smep && !noExecute : !noExecute;
    }
    boolean dataAllowedOnUserPage = !smap || alignmentCheck && !implicit;
    if (userPage && !dataAllowedOnUserPage) {
      return false;
    }
    return !write || writable || !wp;
  }

  @ParameterizedTest
  @MethodSource("x86Modes")
  void accessRightsAreTheConjunctionOfAllLevelsUnderTheControls(PagingMode mode) {
    Tables tables = Tables.inMachine(machine, format(mode));
    PagingState state = tables.state(BITS);
    int checked = 0;
    for (int upper = 0; upper < 8; upper++) {
      for (int lower = 0; lower < 8; lower++) {
        tables.map(GVA, 1, 0x42000, Rights.READ | lower << 1);
        long table = tables.format().tableAddress(tables.get(GVA, 2));
        tables.set(GVA, 2, tables.format().tableEntry(table, Rights.READ | upper << 1));
        for (int controls = 0; controls < 8; controls++) {
          setControls(state, controls);
          checked += checkAccesses(state, upper & lower, mode == PagingMode.BITS_32);
        }
      }
    }
    assertThat(checked).isEqualTo(8 * 8 * 8 * 14);
  }

  private static void setControls(PagingState state, int controls) {
    long cr4 = state.cr4() & ~(PagingState.CR4_SMEP | PagingState.CR4_SMAP);
    state.setCr0(
        state.cr0() & ~PagingState.CR0_WP | ((controls & 1) != 0 ? PagingState.CR0_WP : 0));
    state.setCr4(
        cr4
            | ((controls & 2) != 0 ? PagingState.CR4_SMEP : 0)
            | ((controls & 4) != 0 ? PagingState.CR4_SMAP : 0));
  }

  private int checkAccesses(PagingState state, int granted, boolean neverNoExecute) {
    Walker walker = walker(state);
    walker.setFlagUpdates(false);
    boolean noExecute = !neverNoExecute && (granted & 4) == 0;
    for (int access : accesses()) {
      boolean allowed =
          manualAllows(access, (granted & 1) != 0, (granted & 2) != 0, noExecute, state);
      assertThat(walker.translate(GVA, access))
          .as("access=%x granted=%x cr0=%x cr4=%x", access, granted, state.cr0(), state.cr4())
          .isEqualTo(allowed ? Walker.MAPPED : Walker.DENIED);
    }
    return accesses().size();
  }

  // ---- error codes ---------------------------------------------------------------------------

  record ErrorCase(String behaviour, int access, int outcome, long cr4, long efer, int errorCode) {
    @Override
    public String toString() {
      return behaviour;
    }
  }

  static Stream<ErrorCase> errorCodes() {
    long pae = PagingState.CR4_PAE;
    long smep = PagingState.CR4_SMEP;
    long nxe = PagingState.EFER_NXE;
    return Stream.of(
        new ErrorCase("read of nothing", Access.READ, Walker.NOT_PRESENT, 0, 0, 0),
        new ErrorCase("write of nothing", Access.WRITE, Walker.NOT_PRESENT, 0, 0, W),
        new ErrorCase("user read of nothing", Access.USER, Walker.NOT_PRESENT, 0, 0, U),
        new ErrorCase("denied write", Access.WRITE, Walker.DENIED, 0, 0, P | W),
        new ErrorCase(
            "denied user write", Access.WRITE | Access.USER, Walker.DENIED, 0, 0, P | W | U),
        new ErrorCase("reserved bit", Access.READ, Walker.MALFORMED, 0, 0, P | RSVD),
        new ErrorCase(
            "reserved bit, user write",
            Access.WRITE | Access.USER,
            Walker.MALFORMED,
            0,
            0,
            P | W | U | RSVD),
        new ErrorCase("fetch, neither NXE nor SMEP", Access.FETCH, Walker.NOT_PRESENT, pae, 0, 0),
        new ErrorCase("fetch with NXE and PAE", Access.FETCH, Walker.NOT_PRESENT, pae, nxe, ID),
        new ErrorCase("fetch with NXE, no PAE", Access.FETCH, Walker.NOT_PRESENT, 0, nxe, 0),
        new ErrorCase("fetch with SMEP", Access.FETCH, Walker.DENIED, smep, 0, P | ID),
        new ErrorCase(
            "AC is not reported", Access.AC | Access.WRITE, Walker.DENIED, pae, nxe, P | W),
        new ErrorCase(
            "an implicit access is supervisor",
            Access.IMPLICIT | Access.USER,
            Walker.DENIED,
            0,
            0,
            P));
  }

  @ParameterizedTest
  @MethodSource("errorCodes")
  void theErrorCodeReportsTheAccessAndItsCause(ErrorCase c) {
    PagingState state = new PagingState();
    state.setCr0(PagingState.CR0_PG | PagingState.CR0_PE);
    state.setCr4(c.cr4);
    state.setEfer(c.efer);
    assertThat(AccessRules.of(state).errorCode(c.access, c.outcome)).isEqualTo(c.errorCode);
  }

  // ---- reserved bits -------------------------------------------------------------------------

  static IntStream widths() {
    return IntStream.rangeClosed(36, 52);
  }

  /** SDM vol. 3A, tables 4-4 to 4-20, for entries that are otherwise well formed. */
  private static boolean manualReserves(
      PagingMode mode, int level, boolean leaf, int bit, int max) {
    boolean isLarge = leaf && level > 1;
    if (mode == PagingMode.BITS_32) {
      return isLarge && bit <= 21 && bit >= Math.min(max, 40) - 19;
    }
    if (mode == PagingMode.PAE && bit >= max && bit <= 62) {
      return true;
    }
    if (bit >= max && bit <= 51) {
      return true;
    }
    if (level >= 4 && bit == 7) {
      return true;
    }
    return isLarge && bit >= 13 && bit < (level == 2 ? 21 : 30);
  }

  @ParameterizedTest
  @MethodSource("widths")
  void everyReservedBitOfEveryEntryFaultsWithPresentAndReserved(int max) {
    x86Modes().forEach(mode -> checkReserved(mode, max));
  }

  private void checkReserved(PagingMode mode, int max) {
    PagingFormat format = PagingFormat.x86(mode, max, true, true);
    TestMachine local = new TestMachine(64 << 12);
    for (int leafLevel = 1; leafLevel <= Math.min(3, format.levels()); leafLevel++) {
      Tables tables = Tables.inMachine(local, format);
      tables.map(GVA, leafLevel, 0, Rights.ALL);
      Walker walker = new Walker(local.memory(), new PlainTables(local.memory()));
      walker.load(tables.state(max));
      for (int level = leafLevel; level <= format.levels(); level++) {
        long good = tables.get(GVA, level);
        for (int bit = 6; bit < format.entrySizeBytes() * 8; bit++) {
          boolean becomesLeaf = bit == 7 && level <= 3 && level > leafLevel;
          boolean unleafs = (good >>> bit & 1) != 0;
          if (becomesLeaf || unleafs || bit == 63) {
            continue;
          }
          boolean reserved = manualReserves(mode, level, level == leafLevel, bit, max);
          tables.set(GVA, level, good | 1L << bit);
          int outcome = walker.translate(GVA, Access.WRITE);
          String what =
              "mode=%s max=%d leafLevel=%d level=%d bit=%d"
                  .formatted(mode, max, leafLevel, level, bit);
          if (reserved) {
            assertThat(outcome).as(what).isEqualTo(Walker.MALFORMED);
            assertThat(walker.rules().errorCode(Access.WRITE, outcome)).isEqualTo(P | W | RSVD);
          } else if (level == leafLevel || bit < 12 || bit > 51) {
            assertThat(outcome).as(what).isEqualTo(Walker.MAPPED);
          } else {
            assertThat(outcome).as(what).isNotEqualTo(Walker.MALFORMED);
          }
        }
        tables.set(GVA, level, good);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PagingMode.class,
      names = {"PAE", "LEVELS_4", "LEVELS_5"})
  void noExecuteIsAReservedBitWhileItIsDisabled(PagingMode mode) {
    Tables tables = Tables.inMachine(machine, format(mode));
    tables.map(GVA, 1, 0x7000, Rights.READ);
    PagingState state = tables.state(BITS);
    assertThat(walker(state).translate(GVA, Access.READ)).isEqualTo(Walker.MAPPED);
    state.setEfer(state.efer() & ~PagingState.EFER_NXE);
    assertThat(walker(state).translate(GVA, Access.READ)).isEqualTo(Walker.MALFORMED);
  }

  @Test
  void aNonPresentEntryIsNotCheckedForReservedBits() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.set(GVA, 1, ~1L);
    assertThat(walker(tables.state(BITS)).translate(GVA, 0)).isEqualTo(Walker.NOT_PRESENT);
  }

  @Test
  void aReservedBitAboveComesBeforeANonPresentEntryBelow() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.set(GVA, 1, 0);
    tables.set(GVA, 4, tables.get(GVA, 4) | 1 << 7);
    assertThat(walker(tables.state(BITS)).translate(GVA, 0)).isEqualTo(Walker.MALFORMED);
  }

  // ---- addresses -----------------------------------------------------------------------------

  @ParameterizedTest
  @ValueSource(ints = {36, 38, 40, 44, 52})
  void pse36GivesFourMebibytePagesUpToFortyAddressBits(int max) {
    PagingFormat format = PagingFormat.x86(PagingMode.BITS_32, max, false, true);
    Tables tables = Tables.inMachine(machine, format);
    long highest = (1L << Math.min(max, 40)) - (4 << 20);
    tables.map(GVA, 2, highest, Rights.ALL);
    Walker walker = walker(tables.state(max));
    assertThat(walker.translate(GVA, 0)).isEqualTo(Walker.MAPPED);
    assertThat(walker.physicalAddress(GVA + 5)).isEqualTo(highest | (GVA + 5) & 0x3F_FFFF);
    assertThat(walker.pageSizeLog2()).isEqualTo(22);
  }

  @Test
  void withoutPseThePageSizeFlagIsIgnored() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.BITS_32));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    tables.set(GVA, 2, tables.get(GVA, 2) | 1 << 7);
    PagingState state = tables.state(BITS);
    state.setCr4(state.cr4() & ~PagingState.CR4_PSE);
    Walker walker = walker(state);
    assertThat(walker.translate(GVA, 0)).isEqualTo(Walker.MAPPED);
    assertThat(walker.physicalAddress(GVA)).isEqualTo(0x5000);
  }

  @ParameterizedTest
  @ValueSource(longs = {1L << 47, -1L << 48, 0x0100_0000_0000_0000L, Long.MIN_VALUE})
  void aNonCanonicalAddressIsNotMapped(long gva) {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.map(gva, 1, 0x5000, Rights.ALL);
    Walker walker = walker(tables.state(BITS));
    assertThat(walker.translate(gva, 0)).isEqualTo(Walker.NOT_PRESENT);
    assertThat(walker.references()).isZero();
  }

  @ParameterizedTest
  @ValueSource(longs = {0, (1L << 56) - 1, -1L << 56, -1})
  void fiveLevelsReachFiftySevenBits(long gva) {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_5));
    tables.map(gva, 1, 0x5000, Rights.ALL);
    Walker walker = walker(tables.state(BITS));
    assertThat(walker.translate(gva, 0)).isEqualTo(Walker.MAPPED);
    assertThat(walker.translate(gva ^ 1L << 57, 0)).isEqualTo(Walker.NOT_PRESENT);
  }

  // ---- hostile tables ------------------------------------------------------------------------

  @ParameterizedTest
  @EnumSource(
      value = PagingMode.class,
      names = {"LEVELS_4", "LEVELS_5"})
  void aTableThatNamesItselfIsWalkedOncePerLevel(PagingMode mode) {
    Tables tables = Tables.inMachine(machine, format(mode));
    for (int i = 0; i < 512; i++) {
      machine.write(tables.root() + 8L * i, tables.format().tableEntry(tables.root(), Rights.ALL));
    }
    Walker walker = walker(tables.state(BITS));
    assertThat(walker.translate(GVA, Access.WRITE)).isEqualTo(Walker.MAPPED);
    assertThat(walker.references()).isEqualTo(mode.levels());
    assertThat(walker.physicalAddress(GVA)).isEqualTo(tables.root());
  }

  @Test
  void aRootOutsideMemoryIsUnreachable() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    PagingState state = tables.state(BITS);
    state.setCr3(1L << 39);
    assertThat(walker(state).translate(GVA, 0)).isEqualTo(Walker.UNREACHABLE);
  }

  @Test
  void anAbsentPdpteIsNotPresent() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.PAE));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    PagingState state = tables.state(BITS);
    state.setPdpte(0, state.pdpte(0) & ~1);
    assertThat(walker(state).translate(GVA, 0)).isEqualTo(Walker.NOT_PRESENT);
  }

  // ---- accessed and dirty --------------------------------------------------------------------

  @ParameterizedTest
  @MethodSource("x86Modes")
  void aReadSetsAccessedAtEveryLevelAndDirtyNowhere(PagingMode mode) {
    Tables tables = Tables.inMachine(machine, format(mode));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    walker(tables.state(BITS)).translate(GVA, Access.READ);
    for (int level = 1; level <= tables.format().levels(); level++) {
      assertThat(tables.get(GVA, level) & 0x60).as("level=%d", level).isEqualTo(0x20);
    }
  }

  @ParameterizedTest
  @MethodSource("x86Modes")
  void aWriteSetsDirtyInTheLeafAlone(PagingMode mode) {
    Tables tables = Tables.inMachine(machine, format(mode));
    for (int leaf = 1; leaf <= 2; leaf++) {
      long gva = GVA + ((long) leaf << 25);
      tables.map(gva, leaf, 0, Rights.ALL);
      walker(tables.state(BITS)).translate(gva, Access.WRITE);
      for (int level = leaf; level <= tables.format().levels(); level++) {
        assertThat(tables.get(gva, level) & 0x60)
            .as("leaf=%d level=%d", leaf, level)
            .isEqualTo(level == leaf ? 0x60 : 0x20);
      }
    }
  }

  @Test
  void anAccessThatFaultsSetsNoFlag() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.map(GVA, 1, 0x5000, Rights.READ | Rights.USER);
    walker(tables.state(BITS)).translate(GVA, Access.WRITE);
    for (int level = 1; level <= 4; level++) {
      assertThat(tables.get(GVA, level) & 0x60).as("level=%d", level).isZero();
    }
  }

  @Test
  void anExplainingWalkSetsNoFlag() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    Walker walker = walker(tables.state(BITS));
    walker.setFlagUpdates(false);
    assertThat(walker.translate(GVA, Access.WRITE)).isEqualTo(Walker.MAPPED);
    assertThat(tables.get(GVA, 1) & 0x60).isZero();
    assertThat(tables.get(GVA, 4) & 0x60).isZero();
  }

  @Test
  void anEntryThatChangesDuringTheWalkIsWalkedAgain() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    Walker walker = walker(tables.state(BITS));
    int[] leaves = {0};
    walker.setListener(
        (from, level, entry) -> {
          if (level == 1 && leaves[0]++ == 0) {
            tables.map(GVA, 1, 0x6000, Rights.ALL);
          }
        });
    assertThat(walker.translate(GVA, Access.WRITE)).isEqualTo(Walker.MAPPED);
    assertThat(walker.physicalAddress(GVA)).isEqualTo(0x6000);
    assertThat(leaves[0]).isEqualTo(2);
    assertThat(tables.get(GVA, 1) & 0x60).isEqualTo(0x60);
  }

  @Test
  void aFlagThatAnotherProcessorSetsMeanwhileIsKeptWithoutANewWalk() {
    Tables tables = Tables.inMachine(machine, format(PagingMode.LEVELS_4));
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    Walker walker = walker(tables.state(BITS));
    walker.setListener(
        (from, level, entry) -> {
          if (level == 1) {
            tables.set(GVA, 1, entry | 0x40);
          }
        });
    assertThat(walker.translate(GVA, Access.READ)).isEqualTo(Walker.MAPPED);
    assertThat(walker.references()).isEqualTo(4);
    assertThat(tables.get(GVA, 1) & 0x60).isEqualTo(0x60);
    assertThat(walker.isDirty()).isTrue();
  }

  // ---- EPT -----------------------------------------------------------------------------------

  /** SDM vol. 3C, 29.3.3.1, for a 4 KiB leaf. */
  private static boolean manualMisconfigures(long entry, int max) {
    boolean r = (entry & 1) != 0;
    boolean w = (entry & 2) != 0;
    int memoryType = (int) (entry >>> 3) & 7;
    boolean badType = memoryType == 2 || memoryType == 3 || memoryType == 7;
    boolean high = (entry & 0x000F_FFFF_FFFF_FFFFL) >>> max != 0;
    return w && !r || badType || high;
  }

  @Test
  void aMalformedEptLeafIsAMisconfigurationAndAnAbsentOneIsNot() {
    PagingFormat ept = PagingFormat.ept(4, BITS, true);
    Tables tables = Tables.inMachine(machine, ept);
    Walker walker = new Walker(machine.memory(), new PlainTables(machine.memory()));
    walker.use(ept, AccessRules.EPT);
    walker.setRoot(tables.root());
    for (long low = 0; low < 256; low++) {
      for (int bit = 35; bit < 64; bit++) {
        long entry = low | 1L << bit;
        tables.set(GVA, 1, entry);
        int outcome = walker.translate(GVA, Access.READ);
        int expected =
            (low & 7) == 0
                ? Walker.NOT_PRESENT
                : manualMisconfigures(entry, BITS)
                    ? Walker.MALFORMED
                    : (low & 1) == 0 ? Walker.DENIED : Walker.MAPPED;
        assertThat(outcome).as("entry=%x", entry).isEqualTo(expected);
      }
    }
  }

  @Test
  void reservedBitsOfAnEptTableEntryAreAMisconfiguration() {
    PagingFormat ept = PagingFormat.ept(4, BITS, true);
    Tables tables = Tables.inMachine(machine, ept);
    Walker walker = new Walker(machine.memory(), new PlainTables(machine.memory()));
    walker.use(ept, AccessRules.EPT);
    walker.setRoot(tables.root());
    tables.map(GVA, 1, 0x5000, Rights.ALL);
    for (int level = 2; level <= 4; level++) {
      long good = tables.get(GVA, level);
      for (int bit = 3; bit <= (level == 4 ? 7 : 6); bit++) {
        tables.set(GVA, level, good | 1L << bit);
        assertThat(walker.translate(GVA, 0))
            .as("level=%d bit=%d", level, bit)
            .isEqualTo(Walker.MALFORMED);
      }
      tables.set(GVA, level, good);
    }
    assertThat(walker.translate(GVA, 0)).isEqualTo(Walker.MAPPED);
  }

  // ---- for people ----------------------------------------------------------------------------

  record Description(PagingMode mode, int level, long entry, String text) {}

  static Stream<Description> descriptions() {
    return Stream.of(
        new Description(
            PagingMode.LEVELS_4,
            1,
            0x8000_0000_03C2_F067L,
            "PTE 0x8000000003c2f067: P RW US A D NX pfn=0x3c2f"),
        new Description(
            PagingMode.LEVELS_4, 2, 0x0060_01E3L, "PDE 0x6001e3: P RW A D G PS pfn=0x600"),
        new Description(PagingMode.LEVELS_5, 5, 0x1000, "PML5E 0x1000: not present"),
        new Description(
            PagingMode.BITS_32, 2, 0x0040_20E3L, "PDE 0x4020e3: P RW A D PS pfn=0x100400"),
        new Description(PagingMode.EPT_4, 1, 0x5377, "EPT PTE 0x5377: R W X WB IPAT A D pfn=0x5"),
        new Description(PagingMode.EPT_4, 4, 0x5107, "EPT PML4E 0x5107: R W X A pfn=0x5"),
        new Description(PagingMode.NPT_4, 3, 0x5027, "nPDPTE 0x5027: P RW US A pfn=0x5"));
  }

  @ParameterizedTest
  @MethodSource("descriptions")
  void anEntryIsDescribedInTheManualsLetters(Description d) {
    assertThat(EntryDescription.describe(d.mode, d.level, d.entry)).isEqualTo(d.text);
  }
}
