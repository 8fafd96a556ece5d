package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Large pages come apart and are put together again; what lies in the way of one moves. */
final class LargePagesTest {
  private static final int PAGE = 4096;
  private static final int BLOCK = 512;
  private static final int PAGES = 4 * BLOCK;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY.with(new MemoryRegion(0, (long) PAGES * PAGE, MemoryRegion.Kind.RAM));

  private static HostMemory host(int blocks) {
    HostMemory host =
        HostMemory.create(new HostMemoryOptions((long) blocks * BLOCK * PAGE, 3, true));
    host.enableReclaim(
        new ReclaimOptions(DedupOptions.ON, true, true, 50, java.util.Optional.empty(), 16, 32)
            .withSwap(new SwapFile(new FlakyStorage(PAGES * PAGE), PAGES)));
    return host;
  }

  private static void fill(CachingGuest guest, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (long gfn = 0; gfn < PAGES; gfn++) {
      guest.write(gfn << 12, random.nextLong());
      guest.write((gfn << 12) + 4088, gfn);
    }
  }

  private static void expect(CachingGuest guest, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (long gfn = 0; gfn < PAGES; gfn++) {
      assertThat(guest.read(gfn << 12)).isEqualTo(random.nextLong());
      assertThat(guest.read((gfn << 12) + 4088)).isEqualTo(gfn);
    }
  }

  static Stream<Arguments> splits() {
    return Stream.of(
        split("a moved page", vm -> vm.movePage(BLOCK + 7)),
        split("compressed pages", vm -> vm.compressPages(700)),
        split("swapped pages", vm -> vm.swapOutPages(700)),
        split(
            "a dirty log",
            vm -> {
              vm.startDirtyLog();
              vm.frame(3, true);
            }));
  }

  private static Arguments split(String what, Consumer<VmMemory> how) {
    return Arguments.of(what, how);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("splits")
  void whatSplitsALargePageLeavesItsContentsAndItComesBack(String what, Consumer<VmMemory> split) {
    try (HostMemory host = host(16);
        VmMemory vm = host.createVm(MAP, Placement.HUGE)) {
      CachingGuest guest = new CachingGuest(vm);
      fill(guest, 1);
      assertThat(vm.largePages().blocks()).isEqualTo(4);
      split.accept(vm);
      assertThat(vm.largePages().blocks()).isLessThan(4);
      expect(guest, 1);
      vm.stopDirtyLog();
      vm.collapseLargePages();
      assertThat(vm.largePages().blocks()).isEqualTo(4);
      assertThat(vm.contiguousSizeLog2(BLOCK + 7)).isEqualTo(21);
      expect(guest, 1);
      host.audit();
    }
  }

  @Test
  void pagesThatTheGuestGaveUpAreNotFilledAgainForALargePage() {
    try (HostMemory host = host(16);
        VmMemory vm = host.createVm(MAP, Placement.HUGE)) {
      CachingGuest guest = new CachingGuest(vm);
      fill(guest, 1);
      vm.balloon().inflate(5, 3);
      vm.balloon().discard(BLOCK, BLOCK / 2);
      vm.balloon().discard(2 * BLOCK + 5, 2);
      assertThat(vm.collapseLargePages()).isEqualTo(1);
      assertThat(vm.contiguousSizeLog2(2 * BLOCK)).isEqualTo(21);
      assertThat(vm.describe(6).state()).isEqualTo(PageState.BALLOONED);
      assertThat(vm.describe(BLOCK).state()).isEqualTo(PageState.UNTOUCHED);
      assertThat(guest.read((2 * BLOCK + 5L) << 12)).isZero();
      assertThat(guest.read(((2 * BLOCK + 5L) << 12) + 4088)).isZero();
      host.audit();
    }
  }

  @Test
  void housekeepingPutsBlocksTogetherOneAtATime() {
    try (HostMemory host = host(16);
        VmMemory vm = host.createVm(MAP, Placement.HUGE)) {
      CachingGuest guest = new CachingGuest(vm);
      fill(guest, 1);
      for (int block = 0; block < 4; block++) {
        vm.movePage(block * BLOCK);
      }
      assertThat(vm.largePages().blocks()).isZero();
      long now = 1;
      for (int collapsed = 1; collapsed <= 4; collapsed++) {
        vm.housekeep(now);
        assertThat(vm.largePages().blocks()).isEqualTo(collapsed);
        vm.housekeep(now + 1_000_000);
        assertThat(vm.largePages().blocks()).isEqualTo(collapsed);
        now += 100_000_000;
      }
      assertThat(vm.largePages().pagesCopied()).isEqualTo(PAGES);
      expect(guest, 1);
      host.audit();
    }
  }

  @Test
  void aMachineShortOfMemoryGivesSinglePages() {
    try (HostMemory host = host(2);
        VmMemory vm = host.createVm(MAP, Placement.HUGE)) {
      CachingGuest guest = new CachingGuest(vm);
      guest.write(0, 1);
      guest.write((long) BLOCK << 12, 2);
      assertThat(vm.contiguousSizeLog2(0)).isEqualTo(21);
      assertThat(vm.contiguousSizeLog2(BLOCK)).isEqualTo(12);
      assertThat(vm.collapseLargePages()).isZero();
      host.audit();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void compactionEmptiesBlocksOfSeveralVmsForALargePage(long seed) {
    System.out.println("compaction: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    try (HostMemory host =
        HostMemory.create(new HostMemoryOptions(12L * BLOCK * PAGE, seed, true))) {
      VmMemory[] others = new VmMemory[3];
      CachingGuest[] guests = new CachingGuest[3];
      for (int i = 0; i < 3; i++) {
        others[i] = host.createVm(MAP, Placement.SCATTERED);
        guests[i] = new CachingGuest(others[i]);
        others[i].housekeep(0);
      }
      // All of the machine taken page by page, then most of it given back: holes everywhere.
      for (long gfn = 0; gfn < PAGES; gfn++) {
        for (CachingGuest guest : guests) {
          guest.write(gfn << 12, gfn);
        }
      }
      boolean[][] gone = new boolean[3][PAGES];
      for (int i = 0; i < 3; i++) {
        for (int gfn = 0; gfn < PAGES; gfn++) {
          gone[i][gfn] = random.nextInt(4) > 0;
          if (gone[i][gfn]) {
            others[i].balloon().discard(gfn, 1);
          }
        }
      }
      assertThat(host.freeBlocks().unusable(9)).isEqualTo(1.0);
      VmMemory huge = host.createVm(MAP, Placement.HUGE);
      CachingGuest guest = new CachingGuest(huge);
      for (long gfn = 0; gfn < BLOCK; gfn++) {
        guest.write(gfn << 12, gfn + 9);
      }
      huge.housekeep(0);
      assertThat(huge.largePages().refused()).isPositive();
      for (int round = 1; round < 4 && huge.largePages().collapsed() == 0; round++) {
        for (VmMemory other : others) {
          other.housekeep(0);
        }
        host.audit();
        huge.housekeep(round * 1_000_000_000L);
      }
      assertThat(huge.largePages().collapsed()).isEqualTo(1);
      assertThat(host.compactions().emptied()).isPositive();
      assertThat(host.compactions().moved()).isPositive();
      for (int gfn = 0; gfn < PAGES; gfn++) {
        for (int i = 0; i < 3; i++) {
          assertThat(others[i].readValue((long) gfn << 12, 8)).isEqualTo(gone[i][gfn] ? 0 : gfn);
        }
        if (gfn < BLOCK) {
          assertThat(guest.read((long) gfn << 12)).isEqualTo(gfn + 9);
        }
      }
      host.audit();
    }
  }

  @Test
  void framesSetApartForALargePageServeWhoeverHasNoOther() {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(4L * BLOCK * PAGE, 3, true))) {
      VmMemory vm = host.createVm(MAP, Placement.SCATTERED);
      vm.housekeep(0);
      for (long gfn = 0; gfn < PAGES; gfn++) {
        vm.frame(gfn, true);
      }
      for (long gfn = 0; gfn < PAGES; gfn += 2) {
        vm.balloon().discard(gfn, 1);
      }
      host.compact();
      for (long gfn = 0; gfn < PAGES; gfn++) {
        assertThat(Backing.isPresent(vm.frame(gfn, true))).isTrue();
      }
      assertThat(host.freeBytes()).isZero();
      assertThat(host.compactions().abandoned()).isEqualTo(1);
      host.audit();
    }
  }

  @Test
  void aBlockThatNobodyMovesOutOfIsGivenUpAndLosesNothing() throws InterruptedException {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(4L * BLOCK * PAGE, 3, true))) {
      VmMemory absent = host.createVm(MAP, Placement.SCATTERED);
      absent.housekeep(0);
      for (long gfn = 0; gfn < PAGES; gfn++) {
        absent.frame(gfn, true);
      }
      for (long gfn = 0; gfn < PAGES; gfn += 2) {
        absent.balloon().discard(gfn, 1);
      }
      host.compact();
      long free = host.freeBytes();
      assertThat(host.ledger().totals().count(FrameRole.FREE) * PAGE).isGreaterThan(free);
      host.audit();
      Thread.sleep(1100);
      host.compact();
      assertThat(host.compactions().abandoned()).isEqualTo(1);
      host.audit();
      absent.housekeep(1);
      assertThat(host.compactions().emptied()).isEqualTo(1);
      assertThat(host.freeBlocks().unusable(9)).isLessThan(1);
      host.audit();
    }
  }
}
