package memvisor.tlb;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What each invalidation drops and what it leaves (SDM vol. 3A, 4.10.4). */
class InvalidationTest {
  private static final long GVA = 0x1234_5000L;
  private static final long GLOBAL_GVA = 0x2345_6000L;
  private static final long OLD = 5 << 12;
  private static final long NEW = 6 << 12;
  private static final long PCIDE = PagingState.CR4_PCIDE;

  private final NestedGuest guest = NestedGuest.fourOnFour();
  private final List<String> heard = new ArrayList<>();
  private final TranslationUnit unit = guest.unit();

  InvalidationTest() {
    guest.state.setCr4(guest.state.cr4() | PCIDE);
    guest.tables.map(GVA, 1, OLD, Rights.ALL);
    guest.tables.set(GLOBAL_GVA, 1, guest.tables.format().leafEntry(OLD, 1, Rights.ALL) | 1 << 8);
    unit.controlsChanged();
    unit.setListener(
        new TranslationListener() {
          @Override
          public void translationsInvalidated() {
            heard.add("all");
          }

          @Override
          public void nonGlobalInvalidated() {
            heard.add("all but global");
          }

          @Override
          public void pageInvalidated(long gva) {
            heard.add("page " + Long.toHexString(gva));
          }
        });
  }

  private long gpa(long gva) {
    return NestedGuest.translate(unit, gva, Access.READ).gpa;
  }

  private void remap() {
    guest.tables.map(GVA, 1, NEW, Rights.ALL);
    guest.tables.set(GLOBAL_GVA, 1, guest.tables.format().leafEntry(NEW, 1, Rights.ALL) | 1 << 8);
  }

  private void loadCr3(int pcid, boolean keep) {
    guest.state.setCr3(guest.tables.root() | pcid);
    unit.cr3Loaded(keep);
  }

  record Case(
      String behaviour, boolean dropsPage, boolean dropsGlobal, Consumer<InvalidationTest> action) {
    @Override
    public String toString() {
      return behaviour;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("nothing leaves a stale entry", false, false, t -> {}),
        new Case("INVLPG drops its page", true, false, t -> t.unit.invalidatePage(GVA + 0x123)),
        new Case("INVLPG drops a global page", false, true, t -> t.unit.invalidatePage(GLOBAL_GVA)),
        new Case("INVLPG elsewhere", false, false, t -> t.unit.invalidatePage(GVA + 4096)),
        new Case("MOV CR3 keeps globals", true, false, t -> t.loadCr3(0, false)),
        new Case("MOV CR3 with bit 63 keeps all", false, false, t -> t.loadCr3(0, true)),
        new Case(
            "MOV CR3 of another PCID and back",
            false,
            false,
            t -> {
              t.loadCr3(9, false);
              t.loadCr3(0, true);
            }),
        new Case("INVPCID address", true, false, t -> t.unit.invalidatePcid(0, 0, GVA)),
        new Case(
            "INVPCID address, other PCID", false, false, t -> t.unit.invalidatePcid(0, 9, GVA)),
        new Case("INVPCID context", true, false, t -> t.unit.invalidatePcid(1, 0, 0)),
        new Case("INVPCID context, other PCID", false, false, t -> t.unit.invalidatePcid(1, 9, 0)),
        new Case("INVPCID all", true, true, t -> t.unit.invalidatePcid(2, 0, 0)),
        new Case("INVPCID all but globals", true, false, t -> t.unit.invalidatePcid(3, 0, 0)),
        new Case("CR4.PGE", true, true, t -> t.flip(PagingState.CR4_PGE, 2)),
        new Case("CR4.PCIDE", true, true, t -> t.flip(PCIDE, 2)),
        new Case("CR4.SMEP", true, true, t -> t.flip(PagingState.CR4_SMEP, 1)),
        new Case("CR0.WP", false, false, InvalidationTest::flipWriteProtect),
        new Case("the tag", true, true, t -> t.unit.invalidateTag(NestedGuest.TAG)),
        new Case("another tag", false, false, t -> t.unit.invalidateTag(NestedGuest.TAG + 1)),
        new Case("everything", true, true, t -> t.unit.invalidateAll()),
        new Case("the GPA range", true, true, t -> t.unit.invalidateNested(OLD, 4096)),
        new Case(
            "another GPA range", false, false, t -> t.unit.invalidateNested(OLD + 4096, 4096)));
  }

  private void flip(long bit, int times) {
    for (int i = 0; i < times; i++) {
      guest.state.setCr4(guest.state.cr4() ^ bit);
      unit.controlsChanged();
    }
  }

  private void flipWriteProtect() {
    guest.state.setCr0(guest.state.cr0() ^ PagingState.CR0_WP);
    unit.controlsChanged();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void dropsWhatTheManualSaysAndNoMore(Case c) {
    assertThat(gpa(GVA)).isEqualTo(OLD);
    assertThat(gpa(GLOBAL_GVA)).isEqualTo(OLD);
    remap();
    c.action.accept(this);
    assertThat(gpa(GVA)).as("page").isEqualTo(c.dropsPage ? NEW : OLD);
    assertThat(gpa(GLOBAL_GVA)).as("global page").isEqualTo(c.dropsGlobal ? NEW : OLD);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theListenerHearsWheneverSomethingIsDropped(Case c) {
    gpa(GVA);
    gpa(GLOBAL_GVA);
    heard.clear();
    c.action.accept(this);
    if (c.dropsPage) {
      assertThat(heard).isNotEmpty();
    }
    if (c.dropsGlobal) {
      assertThat(heard).containsAnyOf("all", "page " + Long.toHexString(GLOBAL_GVA));
    }
  }

  @Test
  void aChangeOfAddressSpaceIsHeardAsOneThatKeepsGlobalPages() {
    loadCr3(9, true);
    assertThat(heard).containsExactly("all but global");
  }

  @Test
  void aTranslationSaysWhetherThePageIsGlobalWhoeverFoundIt() {
    for (int time = 0; time < 2; time++) {
      assertThat(NestedGuest.translate(unit, GVA, Access.READ).global).isFalse();
      assertThat(NestedGuest.translate(unit, GLOBAL_GVA, Access.READ).global).isTrue();
    }
  }

  @Test
  void invlpgInsideAGlobalLargePageIsHeardAsAllEvenInAnotherAddressSpace() {
    long entry = guest.tables.format().leafEntry(0, 2, Rights.ALL) | 1 << 8;
    guest.tables.map(0x4020_0000, 2, 0, Rights.ALL);
    guest.tables.set(0x4020_0000, 2, entry);
    gpa(0x4020_3000);
    loadCr3(9, true);
    heard.clear();
    unit.invalidatePage(0x4030_0000);
    assertThat(heard).containsExactly("all");
  }

  @Test
  void invlpgOfAnOrdinaryPageIsHeardAsAPage() {
    gpa(GVA);
    heard.clear();
    unit.invalidatePage(GVA);
    assertThat(heard).containsExactly("page " + Long.toHexString(GVA));
  }

  @Test
  void invlpgInsideALargePageIsHeardAsAll() {
    guest.tables.map(0x4020_0000, 2, 0, Rights.ALL);
    gpa(0x4020_3000);
    heard.clear();
    unit.invalidatePage(0x4030_0000);
    assertThat(heard).containsExactly("all");
  }

  @Test
  void invlpgDropsEveryPieceOfALargePageThatNestedPagingFractured() {
    guest.tables.map(0x4020_0000, 2, 0, Rights.ALL);
    assertThat(gpa(0x4020_3000)).isEqualTo(0x3000);
    assertThat(gpa(0x4020_7000)).isEqualTo(0x7000);
    guest.tables.set(0x4020_0000, 2, 0);
    unit.invalidatePage(0x4021_0000);
    assertThat(NestedGuest.translate(unit, 0x4020_3000, 0).kind)
        .isEqualTo(TranslationResult.PAGE_FAULT);
    assertThat(NestedGuest.translate(unit, 0x4020_7000, 0).kind)
        .isEqualTo(TranslationResult.PAGE_FAULT);
  }

  @Test
  void aPcidNeverSeesAnothersPageButSeesGlobals() {
    assertThat(gpa(GVA)).isEqualTo(OLD);
    assertThat(gpa(GLOBAL_GVA)).isEqualTo(OLD);
    remap();
    loadCr3(9, true);
    assertThat(gpa(GVA)).isEqualTo(NEW);
    assertThat(gpa(GLOBAL_GVA)).isEqualTo(OLD);
  }

  @Test
  void withoutPgeNoPageIsGlobal() {
    guest.state.setCr4(guest.state.cr4() & ~PagingState.CR4_PGE);
    unit.controlsChanged();
    assertThat(gpa(GLOBAL_GVA)).isEqualTo(OLD);
    remap();
    loadCr3(0, false);
    assertThat(gpa(GLOBAL_GVA)).isEqualTo(NEW);
  }

  @Test
  void fromAbsentToPresentNeedsNoInvalidation() {
    long gva = GVA + 0x1000;
    assertThat(NestedGuest.translate(unit, gva, 0).kind).isEqualTo(TranslationResult.PAGE_FAULT);
    guest.tables.map(gva, 1, NEW, Rights.ALL);
    assertThat(gpa(gva)).isEqualTo(NEW);
  }

  @Test
  void aWidenedRightNeedsNoInvalidation() {
    guest.tables.map(GVA, 1, OLD, Rights.READ);
    unit.invalidatePage(GVA);
    assertThat(NestedGuest.translate(unit, GVA, Access.WRITE).errorCode).isEqualTo(3);
    assertThat(gpa(GVA)).isEqualTo(OLD);
    guest.tables.map(GVA, 1, NEW, Rights.ALL);
    TranslationResult result = NestedGuest.translate(unit, GVA, Access.WRITE);
    assertThat(result.kind).isEqualTo(TranslationResult.MAPPED);
    assertThat(result.gpa).isEqualTo(NEW);
    assertThat(gpa(GVA)).as("the stale entry is gone").isEqualTo(NEW);
  }

  @Test
  void aRightWidenedAboveTheLeafNeedsNoInvalidation() {
    long directory = guest.tables.format().tableAddress(guest.tables.get(GVA, 2));
    guest.tables.set(GVA, 2, guest.tables.format().tableEntry(directory, Rights.READ));
    assertThat(gpa(GVA)).isEqualTo(OLD);
    guest.tables.set(GVA, 2, guest.tables.format().tableEntry(directory, Rights.ALL));
    assertThat(NestedGuest.translate(unit, GVA, Access.WRITE).kind)
        .isEqualTo(TranslationResult.MAPPED);
  }

  @Test
  void aWidenedNestedRightNeedsNoInvalidation() {
    NestedGuest.translate(unit, GVA, Access.WRITE);
    guest.nested.map(NEW, 1, guest.hpa(NEW), Rights.READ);
    guest.tables.map(GVA, 1, NEW, Rights.ALL);
    unit.invalidatePage(GVA);
    assertThat(gpa(GVA)).isEqualTo(NEW);
    assertThat(NestedGuest.translate(unit, GVA, Access.WRITE).kind)
        .isEqualTo(TranslationResult.NESTED_FAULT);
    guest.nested.map(NEW, 1, guest.hpa(NEW), Rights.ALL);
    assertThat(NestedGuest.translate(unit, GVA, Access.WRITE).kind)
        .isEqualTo(TranslationResult.MAPPED);
  }

  @Test
  void aPageFaultDropsTheEntryOfItsPage() {
    assertThat(gpa(GVA)).isEqualTo(OLD);
    guest.tables.map(GVA, 1, NEW, Rights.READ);
    assertThat(NestedGuest.translate(unit, GVA, Access.WRITE).kind)
        .isEqualTo(TranslationResult.PAGE_FAULT);
    assertThat(gpa(GVA)).isEqualTo(NEW);
  }

  @Test
  void theFirstWriteThroughACleanEntrySetsTheDirtyFlag() {
    gpa(GVA);
    assertThat(guest.tables.get(GVA, 1) & 0x40).isZero();
    NestedGuest.translate(unit, GVA, Access.WRITE);
    assertThat(guest.tables.get(GVA, 1) & 0x40).isEqualTo(0x40);
    long walks = unit.counters().walks();
    NestedGuest.translate(unit, GVA, Access.WRITE);
    assertThat(unit.counters().walks()).as("then the TLB serves writes").isEqualTo(walks);
  }

  @Test
  void invlpgDropsThePagingStructuresOfItsPcid() {
    gpa(GVA);
    assertThat(unit.startLevel(GVA)).isEqualTo(1);
    guest.tables.set(GVA, 2, 0);
    guest.tables.map(GVA, 1, NEW, Rights.ALL);
    assertThat(unit.startLevel(GVA)).as("stale, which is allowed").isEqualTo(1);
    unit.invalidatePage(0x7000_0000);
    assertThat(unit.startLevel(GVA)).isEqualTo(4);
    unit.invalidatePage(GVA);
    assertThat(gpa(GVA)).isEqualTo(NEW);
  }

  @Test
  void aNestedInvalidationReachesTheTablesOfTheGuestToo() {
    gpa(GVA);
    long table = guest.tables.format().tableAddress(guest.tables.get(GVA, 2));
    guest.nested.set(table, 1, 0);
    unit.invalidateNested(table, 4096);
    unit.invalidatePage(GVA);
    TranslationResult result = NestedGuest.translate(unit, GVA, 0);
    assertThat(result.kind).isEqualTo(TranslationResult.NESTED_FAULT);
    assertThat(result.gpa & -4096).isEqualTo(table);
  }

  @Test
  void aNestedInvalidationDropsCachedNestedTables() {
    TranslationUnit separate =
        guest.unit(
            new TlbConfiguration(
                List.of(),
                List.of(),
                List.of(),
                List.of(),
                TlbConfiguration.PagingStructures.NONE,
                TlbConfiguration.DEFAULT.nestedStructures()));
    assertThat(NestedGuest.translate(separate, GVA, 0).gpa).isEqualTo(OLD);
    assertThat(separate.counters().nestedStructureHits()).isPositive();
    long table = guest.nestedFormat.tableAddress(guest.nested.get(0, 2));
    guest.nested.set(0, 2, 0);
    guest.nested.map(OLD, 1, guest.hpa(NEW), Rights.ALL);
    assertThat(guest.nestedFormat.tableAddress(guest.nested.get(0, 2))).isNotEqualTo(table);
    separate.invalidateNested(0, 1 << 21);
    TranslationResult result = NestedGuest.translate(separate, GVA, 0);
    assertThat(result.kind)
        .as("the new table maps no guest table")
        .isEqualTo(TranslationResult.NESTED_FAULT);
  }

  @Test
  void hostTablesOfDifferentTagsDoNotMeet() {
    NestedGuest other = NestedGuest.fourOnFour();
    PagingFormat format = PagingFormat.x86(PagingMode.LEVELS_4, NestedGuest.BITS, true, true);
    memvisor.testing.Tables first = memvisor.testing.Tables.inMachine(other.machine, format);
    memvisor.testing.Tables second = memvisor.testing.Tables.inMachine(other.machine, format);
    first.map(GVA, 1, other.hpa(OLD), Rights.ALL);
    second.map(GVA, 1, other.hpa(NEW), Rights.ALL);
    PagingState real = first.state(NestedGuest.BITS);
    TranslationUnit shadow = new TranslationUnit(other.machine.memory(), new PagingState());
    for (int round = 0; round < 2; round++) {
      real.setCr3(first.root());
      shadow.hostTables(real, 1);
      assertThat(NestedGuest.translate(shadow, GVA, 0).hpa).isEqualTo(other.hpa(OLD));
      real.setCr3(second.root());
      shadow.hostTables(real, 2);
      assertThat(NestedGuest.translate(shadow, GVA, 0).hpa).isEqualTo(other.hpa(NEW));
    }
    assertThat(shadow.counters().walks()).as("tags kept both").isEqualTo(2);
    first.set(GVA, 1, 0);
    shadow.invalidateTag(1);
    assertThat(NestedGuest.translate(shadow, GVA, 0).hpa).isEqualTo(other.hpa(NEW));
    assertThat(shadow.counters().walks()).isEqualTo(2);
    real.setCr3(first.root());
    shadow.hostTables(real, 1);
    assertThat(NestedGuest.translate(shadow, GVA, 0).kind).isEqualTo(TranslationResult.PAGE_FAULT);
  }

  @Test
  void moreAddressSpacesThanTheClockRemembersStayApart() {
    for (int pcid = 0; pcid < 4096; pcid++) {
      loadCr3(pcid, false);
      guest.tables.map(GVA, 1, (pcid & 63) << 12, Rights.ALL);
      assertThat(gpa(GVA)).isEqualTo((pcid & 63) << 12);
    }
    for (int pcid = 4095; pcid >= 0; pcid--) {
      loadCr3(pcid, false);
      assertThat(gpa(GVA)).isEqualTo(63 << 12);
    }
  }
}
