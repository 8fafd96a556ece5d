package memvisor.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Function;
import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.page.Placement;
import memvisor.memory.Backing;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShadowTechniqueTest {
  private static final long PML4 = 0x20_0000;
  private static final long PDPT = 0x20_1000;
  private static final long PD = 0x20_2000;
  private static final long PT = 0x20_3000;
  private static final long OTHER_PML4 = 0x20_4000;
  private static final long DATA = 0x80_0000;
  private static final long OTHER_DATA = 0xA0_0000;

  /** Where the tests see PT itself, entry 0x1ff of it. */
  private static final long PT_WINDOW = 0x1F_F000;

  private static final long USER_WRITABLE = 0x7;
  private static final long DIRTY = 0x60;
  private static final ShadowOptions SYNCHRONISED =
      new ShadowOptions(8192, false, PageSize.SIZE_1G, 3);

  private static TechniqueVm vm(Function<VmBacking, Technique> technique) {
    TechniqueVm vm = new TechniqueVm(Placement.HUGE, TechniqueVm.state(4, PML4), technique);
    vm.poke(PML4, PDPT | USER_WRITABLE);
    vm.poke(OTHER_PML4, PDPT | USER_WRITABLE);
    vm.poke(PDPT, PD | USER_WRITABLE);
    vm.poke(PD, PT | USER_WRITABLE);
    for (int i = 0; i < 16; i++) {
      vm.poke(PT + 8L * i, DATA + 4096L * i | USER_WRITABLE);
    }
    vm.poke(PT + 8 * 0x1FF, PT | USER_WRITABLE);
    return vm;
  }

  private static void assertMapped(TechniqueVm vm, long gva, int access, long gpa) {
    TechniqueVm.Outcome outcome = vm.access(gva, access);
    assertThat(outcome.kind()).isEqualTo(TranslationResult.MAPPED);
    assertThat(outcome.gpa()).isEqualTo(gpa);
  }

  private static void assertFault(TechniqueVm vm, long gva, int access, int errorCode) {
    TechniqueVm.Outcome outcome = vm.access(gva, access);
    assertThat(outcome.kind()).isEqualTo(TranslationResult.PAGE_FAULT);
    assertThat(outcome.errorCode()).isEqualTo(errorCode);
  }

  @Test
  void switchingBackFindsTheTablesStillBuilt() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.access(0x1000, 0);
      vm.loadCr3(OTHER_PML4);
      vm.access(0x1000, 0);
      long exits = vm.counter("exits");
      vm.loadCr3(PML4);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      vm.loadCr3(OTHER_PML4);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      assertThat(vm.counter("exits")).isEqualTo(exits);
      assertThat(vm.counter("cached-root-hits")).isEqualTo(2);
    }
  }

  @Test
  void twoRootsOverOneSubtreeCostOnePageMore() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.access(0x1000, 0);
      vm.loadCr3(OTHER_PML4);
      vm.access(0x1000, 0);
      assertThat(vm.shadow().rootCosts())
          .containsExactly(
              new ShadowRootCost(PML4 >>> 12, 4, 1), new ShadowRootCost(OTHER_PML4 >>> 12, 4, 1));
    }
  }

  @Test
  void aWriteToASynchronisedTableIsPerformedOnceAndTakesEffect() {
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, SYNCHRONISED))) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      long before = vm.counter("tracked-writes");
      assertThat(vm.store(PT_WINDOW + 8, 8, OTHER_DATA | USER_WRITABLE)).isTrue();
      assertThat(vm.counter("tracked-writes")).isEqualTo(before + 1);
      assertThat(vm.counter("emulated-accesses")).isEqualTo(1);
      vm.invlpg(0x1000);
      assertMapped(vm, 0x1000, 0, OTHER_DATA);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 8})
  void aWriteAcrossTwoEntriesDropsBoth(int sizeBytes) {
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, SYNCHRONISED))) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      assertMapped(vm, 0x2000, 0, DATA + 0x2000);
      // The last byte of entry 1, and from 2 bytes on the first ones of entry 2, present bit too.
      assertThat(vm.store(PT_WINDOW + 15, sizeBytes, 0)).isTrue();
      vm.invlpg(0x1000);
      vm.invlpg(0x2000);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      if (sizeBytes > 1) {
        assertFault(vm, 0x2000, 0, 0);
      } else {
        assertMapped(vm, 0x2000, 0, DATA + 0x2000);
      }
    }
  }

  @Test
  void anUnsynchronisedTableIsWrittenWithoutExitsUntilItsPageIsInvalidated() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      vm.store(PT_WINDOW + 8, 8, OTHER_DATA | USER_WRITABLE);
      assertThat(vm.counter("unsynchronised")).isEqualTo(1);
      long exits = vm.counter("exits");
      vm.store(PT_WINDOW + 16, 8, OTHER_DATA + 0x1000 | USER_WRITABLE);
      assertThat(vm.counter("exits")).isEqualTo(exits);
      vm.invlpg(0x1000);
      assertMapped(vm, 0x1000, 0, OTHER_DATA);
      vm.loadCr3(PML4);
      assertThat(vm.counter("resynchronised")).isEqualTo(1);
      assertMapped(vm, 0x2000, 0, OTHER_DATA + 0x1000);
    }
  }

  @Test
  void aFaultDropsWhatAnUnsynchronisedTableNoLongerSays() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      vm.store(PT_WINDOW + 8, 8, OTHER_DATA | 1);
      assertFault(vm, 0x1000, Access.WRITE | Access.USER, 6 | 1);
      assertMapped(vm, 0x1000, 0, OTHER_DATA);
    }
  }

  @Test
  void aTableThatIsRewrittenWithoutUseIsNoLongerTracked() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.poke(PDPT + 8, 0x20_5000 | USER_WRITABLE);
      vm.poke(0x20_5000, 0x20_0000 | USER_WRITABLE | 0x80);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      for (int i = 1; i < 8; i++) {
        vm.store(0x4000_0000 + (PD & 0x1F_FFFF) + 8L * i, 8, PT | USER_WRITABLE);
      }
      assertThat(vm.shadow().tables().isTracked(PD >>> 12)).isFalse();
      assertThat(vm.counter("write-floods")).isPositive();
      assertMapped(vm, 7 * 0x20_0000 + 0x1000, 0, DATA + 0x1000);
    }
  }

  @Test
  void shadowPagesStayUnderTheirLimit() {
    ShadowOptions tight = new ShadowOptions(ShadowOptions.LEAST_PAGES, true, PageSize.SIZE_1G, 3);
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, tight))) {
      for (int i = 0; i < 200; i++) {
        long table = 0x30_0000 + 4096L * i;
        vm.poke(table, DATA + 4096L * i | USER_WRITABLE);
        vm.poke(PD + 8L * (i + 1), table | USER_WRITABLE);
      }
      vm.invpcid(2, 0, 0);
      for (int i = 0; i < 200; i++) {
        assertMapped(vm, 0x20_0000L * (i + 1), 0, DATA + 4096L * i);
        assertThat(vm.counter("shadow-pages-live")).isLessThanOrEqualTo(ShadowOptions.LEAST_PAGES);
      }
      assertThat(vm.counter("shadow-pages-reclaimed")).isPositive();
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
    }
  }

  @Test
  void oneTableUnderParentsOfDifferentRightsKeepsThemApart() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.poke(PD + 8, PT | 0x5);
      vm.poke(PD + 16, PT | 0x3);
      vm.poke(PD + 24, PT | USER_WRITABLE | 1L << 63);
      int user = Access.USER;
      assertMapped(vm, 0x1000, user | Access.WRITE, DATA + 0x1000);
      assertFault(vm, 0x20_1000, user | Access.WRITE, 7);
      assertMapped(vm, 0x20_1000, user, DATA + 0x1000);
      assertFault(vm, 0x40_1000, user, 5);
      assertMapped(vm, 0x40_1000, Access.WRITE, DATA + 0x1000);
      assertFault(vm, 0x60_1000, user | Access.FETCH, 0x15);
      assertMapped(vm, 0x60_1000, user | Access.WRITE, DATA + 0x1000);
      assertMapped(vm, 0x1000, user | Access.WRITE, DATA + 0x1000);
    }
  }

  @Test
  void aLargePageOverALiveTableDoesNotHideWrites() {
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, SYNCHRONISED))) {
      vm.poke(PD + 8, 0x20_0000 | USER_WRITABLE | 0x80);
      assertMapped(vm, 0x20_0000, Access.WRITE, 0x20_0000);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      TechniqueVm.Outcome write = vm.access(0x20_0000 + (PT & 0x1F_FFFF) + 8, Access.WRITE);
      assertThat(write.gpa()).isEqualTo(PT + 8);
      assertThat(write.tracked()).isTrue();
    }
  }

  @Test
  void aGuestsLargePageOnContiguousFramesIsOneLeaf() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.poke(PD + 8, DATA | USER_WRITABLE | 0x80);
      for (long offset = 0; offset < 0x20_0000; offset += 0x1000) {
        vm.memory.frame(DATA + offset >>> 12, true);
      }
      assertMapped(vm, 0x20_0000, Access.WRITE, DATA);
      long exits = vm.counter("exits");
      assertMapped(vm, 0x3F_F000, Access.WRITE, DATA + 0x1F_F000);
      assertThat(vm.counter("exits")).isEqualTo(exits);
      assertThat(vm.counter("large-leaves-mapped")).isEqualTo(1);
      List<DerivedEntry> path = vm.mmu.derivedPath(0x20_0000, -1);
      assertThat(path).extracting(DerivedEntry::level).containsExactly(4, 3, 2);
      assertThat(path.getLast().value() & 0x83).isEqualTo(0x83);
    }
  }

  @Test
  void withWpOffTheSupervisorWritesAndTheUserStillCannot() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      vm.poke(PT + 8, DATA | 0x5);
      vm.guest.setCr0(vm.guest.cr0() & ~PagingState.CR0_WP);
      vm.guest.setCr4(vm.guest.cr4() | PagingState.CR4_SMEP);
      vm.controlsChanged();
      for (int i = 0; i < 3; i++) {
        assertMapped(vm, 0x1000, Access.WRITE, DATA);
        assertFault(vm, 0x1000, Access.FETCH, 0x11);
        assertFault(vm, 0x1000, Access.WRITE | Access.USER, 7);
        assertMapped(vm, 0x1000, Access.USER, DATA);
        assertMapped(vm, 0x1000, Access.USER | Access.FETCH, DATA);
      }
      vm.guest.setCr0(vm.guest.cr0() | PagingState.CR0_WP);
      vm.controlsChanged();
      assertFault(vm, 0x1000, Access.WRITE, 3);
    }
  }

  @Test
  void anEntryThatChangesBeforeItsTableIsProtectedIsReadAgain() {
    RacingBacking[] racing = new RacingBacking[1];
    try (TechniqueVm vm =
        vm(
            backing -> {
              racing[0] = new RacingBacking(backing);
              return new ShadowTechnique(racing[0]);
            })) {
      // The guest rewrites its PTE when the shadow page of its table is allocated: after the walk.
      racing[0].onAllocate =
          () -> vm.memory.writeValue(PT + 8, 8, OTHER_DATA | USER_WRITABLE | DIRTY);
      assertMapped(vm, 0x1000, 0, OTHER_DATA);
      assertThat(vm.counter("race-retries")).isPositive();
    }
  }

  @Test
  void everyVcpuForgetsAPageThatMoves() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      PagingState guest = new PagingState();
      guest.copyFrom(vm.guest);
      TranslationUnit unit = new TranslationUnit(vm.memory.machine(), guest);
      vm.technique.attach(unit, guest);
      assertMapped(vm, 0x1000, Access.WRITE, DATA + 0x1000);
      TranslationResult result = new TranslationResult();
      unit.translate(0x1000, Access.WRITE, result);
      assertThat(result.kind).isEqualTo(TranslationResult.MAPPED);
      assertThat(vm.memory.movePage(DATA + 0x1000 >>> 12)).isTrue();
      unit.translate(0x1000, Access.WRITE, result);
      assertThat(result.kind).isEqualTo(TranslationResult.PAGE_FAULT);
      assertMapped(vm, 0x1000, Access.WRITE, DATA + 0x1000);
      unit.translate(0x1000, Access.WRITE, result);
      assertThat(result.hpa).isEqualTo(Backing.hpa(vm.memory.peek(DATA + 0x1000 >>> 12)));
    }
  }

  @Test
  void changedMemoryBehindTheVcpusIsBroughtIntoStep() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      vm.memory.writeValue(PT + 8, 8, OTHER_DATA | USER_WRITABLE);
      vm.shadow().memoryWritten(PT, 4096);
      vm.invlpg(0x1000);
      assertMapped(vm, 0x1000, 0, OTHER_DATA);
    }
  }

  @Test
  void aSubtreeEditedWhileUnlinkedIsReadAnewWhenLinked() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      assertMapped(vm, 0x2000, 0, DATA + 0x2000);
      vm.store(PT_WINDOW + 24, 8, OTHER_DATA | USER_WRITABLE);
      assertThat(vm.shadow().tables().isTracked(PT >>> 12)).isFalse();
      vm.poke(PD, 0);
      vm.invlpg(0x1000);
      vm.invlpg(0x2000);
      vm.invlpg(PT_WINDOW);
      vm.poke(PT + 16, OTHER_DATA | USER_WRITABLE);
      vm.poke(PD + 8, PT | USER_WRITABLE);
      assertMapped(vm, 0x20_1000, 0, DATA + 0x1000);
      assertMapped(vm, 0x20_2000, 0, OTHER_DATA);
    }
  }

  @Test
  void anAccessedFlagThatTheGuestClearsIsSetAgain() {
    try (TechniqueVm vm = vm(ShadowTechnique::new)) {
      assertMapped(vm, 0x1000, Access.WRITE, DATA + 0x1000);
      assertThat(vm.peek(PT + 8) & DIRTY).isEqualTo(DIRTY);
      vm.poke(PT + 8, vm.peek(PT + 8) & ~DIRTY);
      vm.invlpg(0x1000);
      assertMapped(vm, 0x1000, 0, DATA + 0x1000);
      assertThat(vm.peek(PT + 8) & DIRTY).isEqualTo(0x20);
      assertMapped(vm, 0x1000, Access.WRITE, DATA + 0x1000);
      assertThat(vm.peek(PT + 8) & DIRTY).isEqualTo(DIRTY);
    }
  }

  @Test
  void aTableThatAppearsUnderAWritableLargeLeafIsProtected() {
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, SYNCHRONISED))) {
      for (long offset = 0; offset < 0x20_0000; offset += 0x1000) {
        vm.memory.frame(DATA + offset >>> 12, true);
      }
      long table = DATA + 0x5000;
      vm.poke(table + 8, OTHER_DATA | USER_WRITABLE);
      vm.poke(PD + 8, DATA | USER_WRITABLE | 0x80);
      vm.poke(PD + 16, table | USER_WRITABLE);
      assertMapped(vm, 0x20_0000, Access.WRITE, DATA);
      assertThat(vm.counter("large-leaves-mapped")).isEqualTo(1);
      assertMapped(vm, 0x40_1000, 0, OTHER_DATA);
      assertThat(vm.access(0x20_5008, Access.WRITE).tracked()).isTrue();
      assertMapped(vm, 0x20_0000, Access.WRITE, DATA);
      assertThat(vm.counter("large-leaves-mapped")).isEqualTo(1);
    }
  }

  @Test
  void invalidatingOneAddressOfALargePageInvalidatesAllItsPieces() {
    ShadowOptions small = new ShadowOptions(8192, true, PageSize.SIZE_4K, 3);
    try (TechniqueVm vm = vm(backing -> new ShadowTechnique(backing, small))) {
      vm.poke(PD + 8, DATA | USER_WRITABLE | 0x80);
      assertMapped(vm, 0x20_0000, 0, DATA);
      assertMapped(vm, 0x20_5000, 0, DATA + 0x5000);
      vm.poke(PD + 8, OTHER_DATA | USER_WRITABLE | 0x80);
      vm.invlpg(0x20_0000);
      assertMapped(vm, 0x20_5000, 0, OTHER_DATA + 0x5000);
    }
  }
}
