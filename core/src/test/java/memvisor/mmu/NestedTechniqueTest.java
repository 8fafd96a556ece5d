package memvisor.mmu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.page.Placement;
import memvisor.memory.FrameRole;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Nested and partition techniques under a guest whose paging is off: GVA is GPA. */
class NestedTechniqueTest {
  private static final long PAGE = 0x80_0000;

  private static TechniqueVm vm(Placement placement, NestedOptions options) {
    return new TechniqueVm(
        placement, TechniqueVm.state(0, 0), backing -> new NestedTechnique(backing, options));
  }

  private static void touchAll(TechniqueVm vm, long gpa, long sizeBytes) {
    for (long at = gpa; at < gpa + sizeBytes; at += 4096) {
      vm.memory.frame(at >>> 12, true);
    }
  }

  @ParameterizedTest
  @CsvSource({"HUGE, SIZE_1G, 2", "HUGE, SIZE_4K, 1", "SCATTERED, SIZE_1G, 1"})
  void leavesAreAsLargeAsBackingAndOptionAllow(Placement placement, PageSize max, int level) {
    for (boolean amd : new boolean[] {false, true}) {
      try (TechniqueVm vm = vm(placement, new NestedOptions(4, max, amd))) {
        touchAll(vm, PAGE, 0x20_0000);
        assertThat(vm.access(PAGE, Access.WRITE).gpa()).isEqualTo(PAGE);
        DerivedEntry leaf = vm.mmu.derivedPath(PAGE, PAGE).getLast();
        assertThat(leaf.level()).isEqualTo(level);
        assertThat(vm.technique.statistics().tableFrames()).isEqualTo(5 - level);
      }
    }
  }

  @Test
  void takingOnePageOfALargeLeafSplitsIt() {
    try (TechniqueVm vm = vm(Placement.HUGE, NestedOptions.DEFAULT)) {
      touchAll(vm, PAGE, 0x20_0000);
      vm.access(PAGE, Access.WRITE);
      assertThat(vm.memory.movePage((PAGE >>> 12) + 3)).isTrue();
      assertThat(vm.access(PAGE + 0x3000, Access.WRITE).gpa()).isEqualTo(PAGE + 0x3000);
      assertThat(vm.access(PAGE, Access.WRITE).gpa()).isEqualTo(PAGE);
      assertThat(vm.mmu.derivedPath(PAGE, PAGE).getLast().level()).isEqualTo(1);
    }
  }

  @Test
  void droppedTablesGoBackToHostMemory() {
    try (TechniqueVm vm = vm(Placement.SCATTERED, NestedOptions.DEFAULT)) {
      vm.access(PAGE, Access.WRITE);
      vm.access(0x1000, 0);
      assertThat(vm.memory.usage().count(FrameRole.NESTED_TABLE)).isEqualTo(5);
      assertThat(vm.technique)
          .isInstanceOfSatisfying(NestedTechnique.class, NestedTechnique::dropAll);
      assertThat(vm.memory.usage().count(FrameRole.NESTED_TABLE)).isEqualTo(1);
      assertThat(vm.access(PAGE, 0).gpa()).isEqualTo(PAGE);
    }
  }

  @Test
  void writeProtectedPagesAreReadWithoutAnExitAndWrittenThroughHostMemory() {
    try (TechniqueVm vm = vm(Placement.SCATTERED, NestedOptions.DEFAULT)) {
      vm.access(PAGE, Access.WRITE);
      vm.memory.startDirtyLog();
      long exits = vm.counter("exits");
      vm.access(PAGE, 0);
      assertThat(vm.counter("exits")).isEqualTo(exits);
      vm.access(PAGE, Access.WRITE);
      assertThat(vm.counter("exits")).isEqualTo(exits + 1);
      long[] dirty = new long[1];
      vm.memory.collectDirty(gfn -> dirty[0] = gfn);
      assertThat(dirty[0]).isEqualTo(PAGE >>> 12);
    }
  }

  @Test
  void romIsReadAndItsWritesAreDiscarded() {
    try (TechniqueVm vm = vm(Placement.SCATTERED, NestedOptions.DEFAULT)) {
      assertThat(vm.access(TechniqueVm.ROM_GPA, 0).kind()).isEqualTo(TranslationResult.MAPPED);
      assertThat(vm.access(TechniqueVm.ROM_GPA, Access.WRITE).kind())
          .isEqualTo(TranslationResult.DISCARD);
    }
  }

  @ParameterizedTest
  @CsvSource({"0", "1", "2", "3"})
  void aMachineWithoutFramesFailsTheAccessAndNothingElse(int frames) {
    RacingBacking[] poor = new RacingBacking[1];
    try (TechniqueVm vm =
        new TechniqueVm(
            Placement.SCATTERED,
            TechniqueVm.state(0, 0),
            backing -> {
              poor[0] = new RacingBacking(backing);
              return new NestedTechnique(poor[0]);
            })) {
      poor[0].allocationsLeft = frames;
      int expected = frames < 3 ? TranslationResult.FAILED : TranslationResult.MAPPED;
      assertThat(vm.access(PAGE, 0).kind()).isEqualTo(expected);
      poor[0].allocationsLeft = 10;
      assertThat(vm.access(PAGE, 0).kind()).isEqualTo(TranslationResult.MAPPED);
    }
  }

  @Test
  void aPartitionMapsItsSliceWithoutExits() {
    try (TechniqueVm vm =
        new TechniqueVm(Placement.CONTIGUOUS, TechniqueVm.state(0, 0), PartitionTechnique::new)) {
      assertThat(vm.access(PAGE, Access.WRITE).gpa()).isEqualTo(PAGE);
      assertThat(vm.counter("exits")).isZero();
      assertThat(vm.access(0xFEE0_0000L, 0))
          .isEqualTo(new TechniqueVm.Outcome(TranslationResult.DEVICE, 0, 0xFEE0_0000L, false));
    }
  }

  @Test
  void aPartitionIsRefusedOnScatteredMemory() {
    assertThatThrownBy(
            () ->
                new TechniqueVm(
                    Placement.SCATTERED, TechniqueVm.state(0, 0), PartitionTechnique::new))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("contiguous");
  }
}
