package memvisor.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.page.Placement;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Where guest and host both have a gibibyte in one piece, the shadow tables map it as one. */
class GibibyteLeafTest {
  private static final long PML4 = 0x20_0000;
  private static final long PDPT = 0x20_1000;
  private static final long PD = 0x20_2000;
  private static final long PT = 0x20_3000;
  private static final long GIB = TechniqueVm.GIB;
  private static final long FIRST_GFN = GIB >>> 12;
  private static final long LARGE = 0x87;

  /** Guest addresses of the gibibyte: PDPTE 1. PDPTE 0 leads to the tables. */
  private static final long NEAR = GIB + 0x1234;

  private static final long FAR = 2 * GIB - 0x1000;

  private static TechniqueVm vm(int levels) {
    TechniqueVm vm =
        new TechniqueVm(
            TechniqueVm.LARGE_MAP,
            Placement.HUGE,
            TechniqueVm.state(levels, levels == 5 ? PT + 0x1000 : PML4),
            TlbConfiguration.DEFAULT,
            GibibyteLeafTest::technique);
    vm.poke(PT + 0x1000, PML4 | 7);
    vm.poke(PML4, PDPT | 7);
    vm.poke(PDPT, PD | 7);
    vm.poke(PDPT + 8, GIB | LARGE);
    vm.poke(PD + 8, 0x20_0000 | LARGE);
    return vm;
  }

  private static Technique technique(VmBacking backing) {
    return new ShadowTechnique(backing, new ShadowOptions(8192, false, PageSize.SIZE_1G, 100));
  }

  private static int leafLevel(TechniqueVm vm, long gva) {
    return vm.mmu.derivedPath(gva, -1).getLast().level();
  }

  private static void assertMapped(TechniqueVm vm, long gva, int access, long gpa) {
    TechniqueVm.Outcome outcome = vm.access(gva, access);
    assertThat(outcome.kind()).as("0x%x", gva).isEqualTo(TranslationResult.MAPPED);
    assertThat(outcome.gpa()).as("0x%x", gva).isEqualTo(gpa);
  }

  private static void assertFault(TechniqueVm vm, long gva, int access) {
    assertThat(vm.access(gva, access).kind()).isEqualTo(TranslationResult.PAGE_FAULT);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 4, 5})
  void oneLeafServesTheWholeGibibyte(int levels) {
    try (TechniqueVm vm = vm(levels)) {
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      assertThat(leafLevel(vm, NEAR)).isEqualTo(3);
      long exits = vm.counter("exits");
      assertMapped(vm, FAR, Access.WRITE, FAR);
      assertMapped(vm, GIB, Access.FETCH, GIB);
      assertThat(vm.counter("exits")).isEqualTo(exits);
      assertThat(vm.counter("large-leaves-mapped")).isEqualTo(1);
      assertThat(vm.counter("large-pages-split")).isZero();
    }
  }

  /** What makes the gibibyte, or a piece of it, no longer one. */
  static Stream<Arguments> splits() {
    return Stream.of(
        split("a page moves", 1, 2, vm -> vm.memory.movePage(FIRST_GFN + 1)),
        split("a page is ballooned", 1, 2, vm -> vm.memory.balloon().inflate(FIRST_GFN + 1, 1)),
        split("2 MiB are ballooned and come back", 2, 2, GibibyteLeafTest::balloonLarge),
        split("pages are logged", 1, 2, GibibyteLeafTest::logOneWrite),
        split("one of its pages is a table", 1, 2, GibibyteLeafTest::useATable));
  }

  private static Arguments split(String what, int near, int far, Consumer<TechniqueVm> how) {
    return Arguments.of(what, near, far, how);
  }

  private static void balloonLarge(TechniqueVm vm) {
    vm.memory.balloon().inflate(FIRST_GFN, 512);
    vm.memory.frame(0x900, true);
    vm.memory.balloon().deflate(FIRST_GFN, 512);
  }

  private static void logOneWrite(TechniqueVm vm) {
    vm.memory.startDirtyLog();
    vm.memory.frame(FIRST_GFN + 1, true);
  }

  private static void useATable(TechniqueVm vm) {
    vm.poke(GIB + 0x1000, 0x80_0000 | 7);
    vm.poke(PD + 16, (GIB + 0x1000) | 7);
    assertMapped(vm, 0x40_0000, 0, 0x80_0000);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("splits")
  void whatSplitsTheGibibyteLeavesTheRestLarge(
      String what, int near, int far, Consumer<TechniqueVm> how) {
    try (TechniqueVm vm = vm(4)) {
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      how.accept(vm);
      assertMapped(vm, FAR, 0, FAR);
      assertMapped(vm, NEAR, 0, NEAR);
      assertThat(leafLevel(vm, FAR)).as("elsewhere").isEqualTo(far);
      assertThat(leafLevel(vm, NEAR)).as("around it").isEqualTo(near);
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      assertMapped(vm, FAR, Access.WRITE, FAR);
      assertThat(vm.counter("large-pages-split")).isPositive();
    }
  }

  @Test
  void aTableInTheGibibyteIsNeverWrittenUnseen() {
    try (TechniqueVm vm = vm(4)) {
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      useATable(vm);
      assertThat(vm.store(GIB + 0x1000, 8, 0xA0_0000 | 7)).isTrue();
      assertThat(vm.result.tracked).isTrue();
      vm.invlpg(0x40_0000);
      assertMapped(vm, 0x40_0000, 0, 0xA0_0000);
      assertMapped(vm, GIB + 0x3000, Access.WRITE, GIB + 0x3000);
    }
  }

  @Test
  void theGibibyteIsOneAgainWhenNothingIsLoggedAnyMore() {
    try (TechniqueVm vm = vm(4)) {
      vm.memory.frame(FIRST_GFN, true);
      logOneWrite(vm);
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      assertThat(leafLevel(vm, NEAR)).isEqualTo(1);
      vm.memory.stopDirtyLog();
      vm.technique.invalidate(FIRST_GFN, 1);
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      assertThat(leafLevel(vm, NEAR)).isEqualTo(3);
      assertMapped(vm, FAR, Access.WRITE, FAR);
    }
  }

  /** What the guest may make of its PDPTE, and what an access through it then comes to. */
  static Stream<Arguments> guestChanges() {
    return Stream.of(
        Arguments.of("not present", 0L, 0, -1L),
        Arguments.of("read-only", GIB | LARGE & ~2, Access.WRITE, -1L),
        Arguments.of("the supervisor's", GIB | LARGE & ~4, Access.USER, -1L),
        Arguments.of("a table", PD | 7, 0, 0x20_0000L),
        Arguments.of("other memory", LARGE, 0, 0x20_0000L));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("guestChanges")
  void theGuestChangesItsPdpteAndInvalidatesAnyAddressInIt(
      String what, long pdpte, int access, long gpa) {
    try (TechniqueVm vm = vm(4)) {
      long gva = GIB + 0x20_0000;
      assertMapped(vm, gva, Access.WRITE, GIB + 0x20_0000);
      assertMapped(vm, FAR, Access.WRITE, FAR);
      assertMapped(vm, 0x20_0000, 0, 0x20_0000);
      assertThat(vm.store(0x20_0000 + (PDPT & 0x1F_FFFF) + 8, 8, pdpte)).isTrue();
      vm.invlpg(FAR);
      if (gpa < 0) {
        assertFault(vm, gva, access);
      } else {
        assertMapped(vm, gva, access, gpa);
      }
      assertThat(vm.store(0x20_0000 + (PDPT & 0x1F_FFFF) + 8, 8, GIB | LARGE)).isTrue();
      vm.invlpg(gva);
      assertMapped(vm, gva, Access.WRITE, GIB + 0x20_0000);
      assertMapped(vm, FAR, Access.WRITE, FAR);
      assertThat(leafLevel(vm, FAR)).isEqualTo(3);
    }
  }

  @Test
  void whatWasMappedInPiecesBecomesOneLeaf() {
    try (TechniqueVm vm = vm(4)) {
      logOneWrite(vm);
      assertMapped(vm, NEAR, 0, NEAR);
      assertMapped(vm, FAR, 0, FAR);
      vm.memory.stopDirtyLog();
      assertMapped(vm, GIB + 0x4000_000, Access.WRITE, GIB + 0x4000_000);
      assertThat(leafLevel(vm, FAR)).isEqualTo(3);
      assertThat(leafLevel(vm, NEAR)).isEqualTo(3);
      vm.memory.movePage(FIRST_GFN + 1);
      assertMapped(vm, NEAR, Access.WRITE, NEAR);
      assertMapped(vm, FAR, Access.WRITE, FAR);
    }
  }

  @Test
  void theUserNeverWritesThroughALeafOfTheSupervisor() {
    try (TechniqueVm vm = vm(4)) {
      vm.poke(PDPT + 8, GIB | LARGE & ~2);
      vm.guest.setCr0(vm.guest.cr0() & ~PagingState.CR0_WP);
      vm.controlsChanged();
      for (int i = 0; i < 2; i++) {
        assertMapped(vm, NEAR, Access.WRITE, NEAR);
        assertThat(leafLevel(vm, NEAR)).isEqualTo(3);
        assertFault(vm, FAR, Access.WRITE | Access.USER);
        assertMapped(vm, FAR, Access.USER, FAR);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PageSize.class,
      names = {"SIZE_4K", "SIZE_2M"})
  void noLeafIsLargerThanTheOptionsSay(PageSize most) {
    try (TechniqueVm vm =
        new TechniqueVm(
            TechniqueVm.LARGE_MAP,
            Placement.HUGE,
            TechniqueVm.state(0, 0),
            TlbConfiguration.DEFAULT,
            backing -> new ShadowTechnique(backing, new ShadowOptions(64, true, most, 3)))) {
      for (long gva : List.of(NEAR, FAR)) {
        assertMapped(vm, gva, Access.WRITE, gva);
        assertThat(leafLevel(vm, gva)).isEqualTo(most == PageSize.SIZE_2M ? 2 : 1);
      }
    }
  }
}
