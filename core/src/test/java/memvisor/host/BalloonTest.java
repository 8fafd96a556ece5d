package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.memory.Backing;
import memvisor.memory.DerivedMappings;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Pages that a guest gives back, and what a guest that lies can do: nothing. */
class BalloonTest {
  private static final long MIB = 1L << 20;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY
          .with(new MemoryRegion(0, 0xA0000, MemoryRegion.Kind.RAM))
          .with(new MemoryRegion(0xF0000, 0x10000, MemoryRegion.Kind.ROM))
          .with(new MemoryRegion(MIB, 7 * MIB, MemoryRegion.Kind.RAM));
  private static final long PAGES = 0xA0 + 7 * 256;

  private static void touch(VmMemory vm, long gfn) {
    vm.writeValue(gfn << 12, 8, ~gfn);
  }

  @Test
  void aPageInTheBalloonHasNoFrameAndComesBackEmpty() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      touch(vm, 5);
      long hfn = Backing.hpa(vm.peek(5)) >>> 12;
      assertThat(vm.balloon().inflate(5, 1)).isEqualTo(1);
      assertThat(vm.peek(5)).isEqualTo(Backing.NO_FRAME);
      assertThat(vm.balloon().balloonedPages()).isEqualTo(1);
      assertThat(host.freeBytes()).isEqualTo(16 * MIB);
      assertThat(vm.describe(5).state()).isEqualTo(PageState.BALLOONED);
      assertThat(host.ledger().describe(hfn).role()).isEqualTo(FrameRole.FREE);
      assertThat(host.ledger().describe(hfn).reason()).isEqualTo(TransitionReason.BALLOONED);
      assertThat(vm.readValue(5 << 12, 8)).as("a read by DMA").isZero();
      assertThat(vm.balloon().balloonedPages()).as("reading gives no frame").isEqualTo(1);
      assertThat(Backing.isPresent(vm.frame(5, false))).as("a vCPU's access does").isTrue();
      assertThat(vm.balloon().balloonedPages()).isZero();
      assertThat(vm.readValue(5 << 12, 8)).isZero();
      host.audit();
    }
  }

  @Test
  void derivedMappingsAreDroppedWhileThePageStillHasItsFrame() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      touch(vm, 5);
      List<String> events = new ArrayList<>();
      vm.setMoveGate(
          action -> {
            events.add("stopped");
            action.run();
            events.add("running");
          });
      vm.setWriteObserver((gpa, length) -> events.add("written %x+%x".formatted(gpa, length)));
      vm.setDerivedMappings(
          new DerivedMappings() {
            @Override
            public void invalidate(long firstGfn, long count) {
              boolean present = Backing.isPresent(vm.peek(5));
              events.add("drop %d+%d present=%b".formatted(firstGfn, count, present));
            }

            @Override
            public void writeProtect(long firstGfn, long count) {}
          });
      vm.balloon().inflate(5, 2);
      assertThat(events)
          .containsExactly("stopped", "drop 5+2 present=true", "running", "written 5000+2000");
      events.clear();
      vm.balloon().inflate(5, 2);
      assertThat(events).as("nothing to do").isEmpty();
    }
  }

  static Stream<Arguments> lies() {
    return Stream.of(
        Arguments.of("a page beyond memory", 8 * 256, 1, 0),
        Arguments.of("a page in a hole", 0xA0, 1, 0),
        Arguments.of("a page of ROM", 0xF0, 16, 0),
        Arguments.of("a range over a hole and ROM", 0x9F, 0x62, 2),
        Arguments.of("everything there is", 0, Long.MAX_VALUE, PAGES),
        Arguments.of("the end of the address space", Long.MAX_VALUE - 1, Long.MAX_VALUE, 0),
        Arguments.of("nothing", 5, 0, 0));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("lies")
  void onlyRamCanBeGivenBack(String lie, long firstGfn, long count, long taken) {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED);
        VmMemory other = host.createVm(MAP, Placement.SCATTERED)) {
      vm.load(0xF0000, new byte[] {1}, 0, 1);
      touch(other, 5);
      assertThat(vm.balloon().inflate(firstGfn, count)).as(lie).isEqualTo(taken);
      assertThat(vm.balloon().inflate(firstGfn, count)).as("said twice").isZero();
      assertThat(vm.balloon().balloonedPages()).isEqualTo(taken);
      assertThat(vm.readValue(0xF0000, 1)).isEqualTo(1);
      assertThat(other.readValue(5 << 12, 8)).isEqualTo(~5L);
      assertThat(vm.balloon().deflate(firstGfn, count)).isEqualTo(taken);
      assertThat(vm.balloon().deflate(firstGfn, count)).isZero();
      host.audit();
    }
  }

  @Test
  void aReportedPageIsNotInTheBalloonAndLosesOnlyItsFrame() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      touch(vm, 5);
      vm.balloon().inflate(6, 1);
      assertThat(vm.balloon().discard(4, 3)).isEqualTo(1);
      assertThat(vm.balloon().balloonedPages()).isEqualTo(1);
      assertThat(vm.readValue(5 << 12, 8)).isZero();
      // Written after it was reported: what was written stays.
      touch(vm, 5);
      assertThat(vm.readValue(5 << 12, 8)).isEqualTo(~5L);
      host.audit();
    }
  }

  @Test
  void aPageGivenBackIsDirtyForWhoCopiesTheGuest() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      touch(vm, 5);
      vm.startDirtyLog();
      vm.balloon().inflate(5, 1);
      List<Long> dirty = new ArrayList<>();
      vm.collectDirty(dirty::add);
      assertThat(dirty).containsExactly(5L);
    }
  }

  @Test
  void partOfALargeBlockCanBeGivenBack() {
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY.with(new MemoryRegion(0, 4 * MIB, MemoryRegion.Kind.RAM));
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(map, Placement.HUGE)) {
      touch(vm, 0);
      assertThat(vm.contiguousSizeLog2(3)).isEqualTo(21);
      vm.balloon().inflate(7, 1);
      assertThat(vm.contiguousSizeLog2(3)).isEqualTo(12);
      assertThat(vm.usage().count(FrameRole.GUEST_PAGE)).isEqualTo(511);
      touch(vm, 7);
      assertThat(vm.readValue(0, 8)).isEqualTo(~0L);
      vm.balloon().inflate(0, 512);
      vm.balloon().deflate(0, 512);
      touch(vm, 9);
      assertThat(vm.contiguousSizeLog2(3)).as("whole again").isEqualTo(21);
      host.audit();
    }
  }

  @Test
  void aPartitionCannotGivePagesBack() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.CONTIGUOUS)) {
      assertThatThrownBy(() -> vm.balloon().inflate(5, 1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("partition");
      host.audit();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Placement.class,
      names = {"SCATTERED", "HUGE"})
  void countsStayExactWhateverTheGuestDoes(Placement placement) {
    long seed = 34;
    System.out.println("lying guests: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, placement);
        VmMemory other = host.createVm(MAP, Placement.SCATTERED)) {
      for (int i = 0; i < 20_000; i++) {
        long gfn = random.nextLong(0x900);
        long count = random.nextLong(16);
        switch (random.nextInt(5)) {
          case 0 -> vm.balloon().inflate(gfn, count);
          case 1 -> vm.balloon().deflate(gfn, count);
          case 2 -> vm.balloon().discard(gfn, count);
          case 3 -> other.frame(gfn, true);
          default -> vm.frame(gfn, random.nextBoolean());
        }
        if (i % 1_000 == 0) {
          host.audit();
        }
      }
      host.audit();
      vm.balloon().deflate(0, Long.MAX_VALUE);
      assertThat(vm.balloon().balloonedPages()).as("seed=%d", seed).isZero();
    }
  }

  @Test
  void sharedAndCompressedPagesAreGivenBackToo() {
    ReclaimOptions options =
        new ReclaimOptions(DedupOptions.ON, true, true, 50, Optional.empty(), 16, 32);
    long seed = 39;
    System.out.println("balloon over reclaimed pages: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(32 * MIB, seed, true))) {
      host.enableReclaim(options);
      VmMemory vm = host.createVm(MAP, Placement.SCATTERED);
      for (int i = 0; i < 4_000; i++) {
        long gfn = 0x100 + random.nextLong(0x100);
        long count = random.nextLong(16);
        switch (random.nextInt(7)) {
          case 0 -> vm.balloon().inflate(gfn, count);
          case 1 -> vm.balloon().deflate(gfn, count);
          case 2 -> vm.balloon().discard(gfn, count);
          case 3 -> vm.compressPages(count);
          case 4 -> vm.scanForEqualPages();
          case 5 -> vm.frame(gfn, false);
          default -> vm.writeValue(gfn << 12, 8, random.nextLong(4));
        }
        if (i % 100 == 0) {
          vm.audit();
          host.audit();
        }
      }
      assertThat(vm.transitionCosts())
          .containsKeys(TransitionReason.BALLOONED, TransitionReason.REPORTED_FREE);
      vm.balloon().inflate(0, Long.MAX_VALUE);
      assertThat(vm.balloon().balloonedPages()).isEqualTo(PAGES);
      vm.audit();
      host.audit();
    }
  }
}
