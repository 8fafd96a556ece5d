package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.SplittableRandom;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class VmReclaimTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 256;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY.with(new MemoryRegion(0, (long) PAGES * PAGE, MemoryRegion.Kind.RAM));
  private static final DedupOptions DEDUP = DedupOptions.ON;

  private static HostMemory host(int frames, ReclaimOptions options) {
    HostMemory host = HostMemory.create(new HostMemoryOptions((long) frames * PAGE, 3, true));
    host.enableReclaim(options);
    return host;
  }

  private static ReclaimOptions options() {
    return new ReclaimOptions(DEDUP, true, true, 50, java.util.Optional.empty(), 16, 32);
  }

  private static VmMemory vm(HostMemory host) {
    return host.createVm(MAP, Placement.SCATTERED);
  }

  @Test
  void untouchedPagesReadFromOneFrameOfZeroesUntilTheyAreWritten() {
    try (HostMemory host = host(64, options());
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      for (long gfn = 0; gfn < PAGES; gfn++) {
        assertThat(guest.read(gfn << 12)).isZero();
      }
      assertThat(vm.pages(PageState.ZERO)).isEqualTo(PAGES);
      assertThat(host.ledger().totals().count(FrameRole.ZERO_PAGE)).isEqualTo(1);
      guest.write(0x3008, 42);
      assertThat(guest.read(0x3008)).isEqualTo(42);
      assertThat(guest.read(0x4008)).isZero();
      assertThat(vm.describe(3).state()).isEqualTo(PageState.RESIDENT);
      assertThat(vm.describe(3).reason()).isEqualTo(TransitionReason.UNSHARED);
      host.audit();
    }
  }

  @Test
  void equalPagesShareAFrameAndPartAgainWhenOneIsWritten() {
    try (HostMemory host = host(512, options());
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      for (long gfn = 0; gfn < 10; gfn++) {
        guest.fill(gfn, 77, 8);
      }
      guest.fill(10, 78, 8);
      vm.scanForEqualPages();
      vm.scanForEqualPages();
      assertThat(host.reclaim().orElseThrow().dedup().pagesShared()).isEqualTo(1);
      assertThat(host.reclaim().orElseThrow().dedup().pagesSharing()).isEqualTo(9);
      assertThat(vm.usage().count(FrameRole.GUEST_PAGE)).isEqualTo(1);
      host.audit();
      guest.write(0x4000, -1);
      assertThat(guest.read(0x4000)).isEqualTo(-1);
      assertThat(guest.read(0x4008)).isEqualTo(85);
      for (long gfn = 0; gfn < 10; gfn++) {
        assertThat(guest.read(gfn << 12)).isEqualTo(gfn == 4 ? -1 : 77);
      }
      host.audit();
      for (long gfn = 0; gfn < 10; gfn++) {
        guest.write(gfn << 12, gfn);
      }
      vm.compressPages(0);
      assertThat(vm.pages(PageState.SHARED)).isZero();
      assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(11);
      host.audit();
    }
  }

  @Test
  void aCollisionOfHashesMergesNothingThatDiffers() {
    ReclaimOptions colliding = options().withDedup(DEDUP.withHash(hva -> 5));
    try (HostMemory host = host(512, colliding);
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      for (long gfn = 0; gfn < 40; gfn++) {
        guest.fill(gfn, 1000 + gfn / 2, 8);
      }
      for (int i = 0; i < 60; i++) {
        vm.scanForEqualPages();
      }
      assertThat(host.reclaim().orElseThrow().dedup().pagesSharing()).isPositive();
      for (long gfn = 0; gfn < 40; gfn++) {
        assertThat(guest.read(gfn << 12)).isEqualTo(1000 + gfn / 2);
      }
      host.audit();
    }
  }

  @Test
  void noFrameHasMoreSharersThanAllowed() {
    ReclaimOptions bounded = options().withDedup(DEDUP.withMaxPageSharing(4));
    try (HostMemory host = host(512, bounded);
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      for (long gfn = 0; gfn < 20; gfn++) {
        guest.fill(gfn, 9, 8);
      }
      for (int i = 0; i < 5; i++) {
        vm.scanForEqualPages();
      }
      assertThat(vm.pages(PageState.SHARED)).isEqualTo(20);
      assertThat(host.reclaim().orElseThrow().dedup().pagesShared()).isEqualTo(5);
      host.audit();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void vmsShareOnlyWithinATrustDomain(boolean together) {
    try (HostMemory host = host(1024, options())) {
      VmMemory a = vm(host);
      VmMemory b = vm(host);
      if (together) {
        a.joinTrustDomain("friends");
        b.joinTrustDomain("friends");
      }
      CachingGuest guestA = new CachingGuest(a);
      CachingGuest guestB = new CachingGuest(b);
      for (long gfn = 0; gfn < 8; gfn++) {
        guestA.fill(gfn, 100 + gfn, 8);
        guestB.fill(gfn + 9, 100 + gfn, 8);
      }
      for (int i = 0; i < 3; i++) {
        a.scanForEqualPages();
        b.scanForEqualPages();
      }
      assertThat(host.reclaim().orElseThrow().dedup().pagesSharing()).isEqualTo(together ? 8 : 0);
      guestA.write(0, 1);
      assertThat(guestB.read(9 << 12)).isEqualTo(100);
      host.audit();
      a.close();
      for (long gfn = 0; gfn < 8; gfn++) {
        assertThat(guestB.read(gfn + 9 << 12)).isEqualTo(100 + gfn);
        guestB.write(gfn + 9 << 12, 3);
      }
      host.audit();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void equalPagesAreCompressedOnceWithinATrustDomain(boolean together) {
    try (HostMemory host = host(1024, options().withDedup(DedupOptions.OFF))) {
      VmMemory a = vm(host);
      VmMemory b = vm(host);
      if (together) {
        a.joinTrustDomain("friends");
        b.joinTrustDomain("friends");
      }
      CachingGuest guestA = new CachingGuest(a);
      CachingGuest guestB = new CachingGuest(b);
      for (long gfn = 0; gfn < 8; gfn++) {
        guestA.fill(gfn, 100 + gfn, 64);
        guestB.fill(gfn + 9, 100 + gfn, 64);
      }
      assertThat(a.compressPages(8)).isEqualTo(8);
      long alone = host.reclaim().orElseThrow().compression().bytes();
      assertThat(b.compressPages(8)).isEqualTo(8);
      assertThat(host.reclaim().orElseThrow().compression().sharing()).isEqualTo(together ? 8 : 0);
      assertThat(host.reclaim().orElseThrow().compression().bytes())
          .isEqualTo(together ? alone : 2 * alone);
      assertThat(a.census().compressedBytes()).isEqualTo(together ? alone / 2 : alone);
      host.audit();
      guestA.write(0, 1);
      assertThat(guestB.read(9 << 12)).as("the other keeps its copy").isEqualTo(100);
      a.close();
      host.audit();
      for (long gfn = 0; gfn < 8; gfn++) {
        assertThat(guestB.read(gfn + 9 << 12)).isEqualTo(100 + gfn);
      }
      assertThat(host.reclaim().orElseThrow().compression().bytes()).isZero();
      host.audit();
    }
  }

  @Test
  void aPageCompressedSwappedOrFilledComesBackWhole() {
    FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
    try (HostMemory host = host(512, options().withSwap(new SwapFile(storage, PAGES)));
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      SplittableRandom random = new SplittableRandom(5);
      byte[] expected = new byte[60 * PAGE];
      for (int gfn = 0; gfn < 60; gfn++) {
        for (int i = 0; i < PAGE; i++) {
          expected[gfn * PAGE + i] =
              (byte) (gfn < 20 ? gfn : gfn < 40 ? i / 100 + gfn : random.nextInt());
        }
      }
      vm.write(0, expected, 0, expected.length);
      vm.compressPages(Long.MAX_VALUE);
      assertThat(vm.pages(PageState.SAME_FILLED)).isEqualTo(20);
      assertThat(vm.pages(PageState.COMPRESSED)).isEqualTo(20);
      assertThat(host.reclaim().orElseThrow().compression().incompressible()).isEqualTo(20);
      assertThat(vm.swapOutPages(Long.MAX_VALUE)).isEqualTo(20);
      assertThat(vm.usage().total()).isZero();
      host.audit();
      byte[] seen = new byte[expected.length];
      vm.read(0, seen, 0, seen.length);
      assertThat(seen).isEqualTo(expected);
      assertThat(vm.usage().total()).as("reading brings nothing back").isZero();
      for (int at = 0; at < expected.length; at += 8) {
        assertThat(guest.read(at)).isEqualTo(vm.readValue(at, 8));
      }
      assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(60);
      vm.read(0, seen, 0, seen.length);
      assertThat(seen).isEqualTo(expected);
      host.audit();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "READ_ERROR, Input/output error",
    "TRUNCATED, truncated",
    "BIT_FLIP, damaged",
    "STALE, damaged"
  })
  void aSwapFileThatFailsStopsTheOneVmWithItsReason(FlakyStorage.Fault fault, String reason) {
    FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
    try (HostMemory host = host(512, options().withSwap(new SwapFile(storage, PAGES)))) {
      VmMemory a = vm(host);
      VmMemory b = vm(host);
      CachingGuest guestA = new CachingGuest(a);
      CachingGuest guestB = new CachingGuest(b);
      guestA.fill(1, 11, 8);
      guestB.fill(1, 22, 8);
      assertThat(a.swapOutPages(10)).isEqualTo(1);
      storage.fault = fault;
      assertThatThrownBy(() -> guestA.read(0x1000)).hasMessageContaining(reason);
      assertThat(a.failure().orElseThrow()).contains("gfn=0x1 of vm 1").contains(reason);
      assertThat(b.failure()).isEmpty();
      assertThat(guestB.read(0x1000)).isEqualTo(22);
      host.audit();
    }
  }

  @Test
  void aFullDiskKeepsThePagesWhereTheyAre() {
    FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
    storage.fault = FlakyStorage.Fault.NO_SPACE;
    try (HostMemory host = host(512, options().withSwap(new SwapFile(storage, PAGES)));
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      guest.fill(1, 11, 8);
      assertThat(vm.swapOutPages(10)).isZero();
      assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(1);
      assertThat(host.reclaim().orElseThrow().swap().orElseThrow().lastFailure())
          .contains("No space left on device");
      assertThat(vm.failure()).isEmpty();
      host.audit();
    }
  }

  @Test
  void whatWasCompressedLongestMakesRoomInThePool() {
    FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
    ReclaimOptions little = options().withPoolPercent(1);
    try (HostMemory host = host(512, little.withSwap(new SwapFile(storage, PAGES)));
        VmMemory vm = vm(host)) {
      byte[] expected = new byte[60 * PAGE];
      SplittableRandom random = new SplittableRandom(8);
      for (int at = 0; at < expected.length; at++) {
        // Half of each page is random: one compressed page to a frame.
        expected[at] = (byte) (at % PAGE < PAGE / 2 ? random.nextInt() : 0);
      }
      vm.write(0, expected, 0, expected.length);
      assertThat(vm.compressPages(60)).isEqualTo(60);
      assertThat(vm.pages(PageState.COMPRESSED)).isBetween(3L, 5L);
      assertThat(vm.pages(PageState.SWAPPED)).isGreaterThanOrEqualTo(55);
      assertThat(vm.describe(0).reason()).isEqualTo(TransitionReason.WRITTEN_BACK);
      assertThat(vm.describe(59).state()).isEqualTo(PageState.COMPRESSED);
      host.audit();
      storage.fault = FlakyStorage.Fault.NO_SPACE;
      for (long gfn = 0; gfn < 5; gfn++) {
        vm.frame(gfn, false);
      }
      assertThat(vm.compressPages(5)).as("nowhere to go").isLessThan(5);
      assertThat(vm.pages(PageState.COMPRESSED)).isEqualTo(5);
      storage.fault = FlakyStorage.Fault.NONE;
      byte[] seen = new byte[expected.length];
      vm.read(0, seen, 0, seen.length);
      assertThat(seen).isEqualTo(expected);
      for (long gfn = 0; gfn < 60; gfn++) {
        vm.frame(gfn, true);
      }
      assertThat(vm.failure()).isEmpty();
      host.audit();
    }
  }

  @Test
  void aDamagedPageIsNotWrittenBackAsIfItWereWhole() {
    FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
    ReclaimOptions little = options().withPoolPercent(1);
    try (HostMemory host = host(128, little.withSwap(new SwapFile(storage, PAGES)));
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      for (long gfn = 0; gfn < 30; gfn++) {
        guest.fill(gfn, 12_345 + gfn, 16);
      }
      vm.compressPages(1);
      long pool = 0;
      while (host.ledger().describe(pool).role() != FrameRole.COMPRESSED_POOL) {
        pool++;
      }
      Hva.fill(host.machine().hva(pool << 12), 64, 0xEE);
      vm.compressPages(30);
      assertThatThrownBy(() -> guest.read(0)).hasMessageContaining("damaged");
      host.audit();
    }
  }

  @Test
  void aFlippedBitInACompressedPageIsCaught() {
    for (int bit = 0; bit < 4096; bit += 37) {
      try (HostMemory host = host(64, options());
          VmMemory vm = vm(host)) {
        CachingGuest guest = new CachingGuest(vm);
        guest.fill(5, 1234567, 64);
        assertThat(vm.compressPages(10)).isEqualTo(1);
        long pool = 0;
        while (host.ledger().describe(pool).role() != FrameRole.COMPRESSED_POOL) {
          pool++;
        }
        int length = (int) host.reclaim().orElseThrow().compression().bytes();
        long at = host.machine().hva(pool << 12) + bit / 8 % length;
        Hva.writeByte(at, Hva.readByte(at) ^ 1 << bit % 8);
        // Some flips change nothing that matters; none may change what the guest reads.
        try {
          assertThat(guest.read(0x5000)).isEqualTo(1234567);
          assertThat(guest.read(0x5040)).isEqualTo(1234567 + 64);
        } catch (HostMemoryException caught) {
          assertThat(vm.failure().orElseThrow()).contains("damaged");
        }
      }
    }
  }

  @Test
  void aPartitionIsNeverReclaimed() {
    try (HostMemory host = host(2048, options());
        VmMemory vm = host.createVm(MAP, Placement.CONTIGUOUS)) {
      assertThatThrownBy(() -> vm.compressPages(1)).hasMessageContaining("a partition is static");
      vm.housekeep(1L << 40);
      assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(PAGES);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void anyOrderOfAccessesAndReclaimLeavesEveryVmItsOwnContents(long seed) {
    System.out.println("reclaim: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    FlakyStorage storage = new FlakyStorage(4 * PAGES * PAGE);
    ReclaimOptions all = options().withSwap(new SwapFile(storage, 4 * PAGES));
    try (HostMemory host = host(56, all)) {
      VmMemory a = vm(host);
      VmMemory b = vm(host);
      a.joinTrustDomain("x");
      b.joinTrustDomain("x");
      VmMemory[] vms = {a, b};
      CachingGuest[] guests = {new CachingGuest(a), new CachingGuest(b)};
      long[][] model = new long[2][PAGES * 2];
      long clock = 0;
      for (int step = 0; step < 60_000; step++) {
        int who = random.nextInt(2);
        int gfn = random.nextInt(8) == 0 ? random.nextInt(PAGES) : random.nextInt(PAGES / 4);
        int half = random.nextInt(2);
        long gpa = ((long) gfn << 12) + half * 2048;
        switch (random.nextInt(40)) {
          case 0 -> vms[who].scanForEqualPages();
          case 1 -> vms[who].compressPages(random.nextInt(20));
          case 2 -> vms[who].swapOutPages(random.nextInt(20));
          case 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 -> {
            long value = random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(3);
            if (random.nextInt(10) == 0) {
              vms[who].writeValue(gpa, 8, value);
            } else {
              guests[who].write(gpa, value);
            }
            model[who][gfn * 2 + half] = value;
          }
          case 13 -> assertThat(vms[who].readValue(gpa, 8)).isEqualTo(model[who][gfn * 2 + half]);
          default -> assertThat(guests[who].read(gpa)).isEqualTo(model[who][gfn * 2 + half]);
        }
        clock += 100_000;
        vms[who].housekeep(clock);
        if (step % 1000 == 0) {
          host.audit();
        }
      }
      host.audit();
      assertThat(a.pages(PageState.SHARED) + b.pages(PageState.SHARED)).isPositive();
      assertThat(host.reclaim().orElseThrow().decisions()).isNotEmpty();
      a.close();
      host.audit();
      b.close();
      host.audit();
      assertThat(host.reclaim().orElseThrow().swap().orElseThrow().used()).isZero();
      assertThat(host.reclaim().orElseThrow().compression().pages()).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {20, 40, 60, 100})
  void aMachineThatIsTooSmallStopsAVmInWords(int frames) {
    ReclaimOptions little = options().withDedup(DedupOptions.OFF);
    try (HostMemory host = host(frames, little);
        VmMemory vm = vm(host)) {
      CachingGuest guest = new CachingGuest(vm);
      SplittableRandom random = new SplittableRandom(1);
      assertThatThrownBy(
              () -> {
                for (long gpa = 0; gpa < PAGES * PAGE; gpa += 8) {
                  guest.write(gpa, random.nextLong());
                  if (gpa % PAGE == 0) {
                    vm.housekeep(gpa);
                  }
                }
              })
          .isInstanceOf(HostMemoryException.class);
      assertThat(vm.failure().orElseThrow())
          .contains("machine memory is exhausted")
          .contains("there is no swap file");
      host.audit();
    }
  }
}
