package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Optional;
import memvisor.host.compress.CompressionCounters;
import memvisor.host.compress.Relocated;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.policy.VmTerms;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;

/** Guests whose kernels differ in nothing but where they lie. */
final class PatchedPagesTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 64;
  private static final int CODE = 40;

  /** A page with many addresses in it is not found to be like another. */
  private static final int MOST = CODE * 7 / 10;

  private static final int MOVED = 0x0460_0000;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY.with(new MemoryRegion(0, (long) PAGES * PAGE, MemoryRegion.Kind.RAM));

  private static HostMemory host(ReclaimOptions options) {
    HostMemory host = HostMemory.create(new HostMemoryOptions(512L * PAGE, 3, true));
    host.enableReclaim(options);
    return host;
  }

  private static ReclaimOptions options() {
    return new ReclaimOptions(DedupOptions.OFF, true, true, 50, Optional.empty(), 16, 32);
  }

  /** A VM with the kernel at an address of its own. */
  private static VmMemory vm(HostMemory host, int moved) {
    VmMemory vm = host.createVm(MAP, Placement.SCATTERED);
    vm.joinTrustDomain("kernels");
    for (int page = 0; page < CODE; page++) {
      vm.write((long) page * PAGE, Relocated.code(page, moved), 0, PAGE);
    }
    return vm;
  }

  private static void requireKernel(VmMemory vm, int moved) {
    CachingGuest guest = new CachingGuest(vm);
    byte[] seen = new byte[PAGE];
    for (int page = 0; page < CODE; page++) {
      guest.read((long) page * PAGE);
      vm.read((long) page * PAGE, seen, 0, PAGE);
      assertThat(seen).isEqualTo(Relocated.code(page, moved));
    }
  }

  private static CompressionCounters pool(HostMemory host) {
    return host.reclaim().orElseThrow().compression();
  }

  private static long times(VmMemory vm, TransitionReason reason) {
    return Optional.ofNullable(vm.transitionCosts().get(reason))
        .map(cost -> cost.count())
        .orElse(0L);
  }

  @Test
  void theThirdKernelCostsWhatItDiffersInFromTheSecond() {
    try (HostMemory host = host(options());
        VmMemory first = vm(host, 0);
        VmMemory second = vm(host, MOVED);
        VmMemory third = vm(host, 2 * MOVED)) {
      assertThat(first.compressPages(CODE)).isZero();
      assertThat(second.compressPages(CODE)).as("pages kept whole free no frame").isZero();
      long wholes = times(second, TransitionReason.KEPT_WHOLE);
      assertThat(wholes).isGreaterThan(MOST);
      assertThat(second.usage().total()).isEqualTo(CODE - wholes);
      assertThat(third.compressPages(CODE)).isGreaterThan(MOST);
      assertThat(times(third, TransitionReason.PATCHED))
          .isEqualTo(pool(host).patches())
          .isGreaterThan(MOST);
      assertThat(pool(host).patchBytes()).isLessThan(pool(host).patches() * PAGE / 4);
      assertThat(host.ledger().totals().count(FrameRole.COMPRESSED_POOL))
          .isLessThan(CODE + CODE / 3);
      assertThat(
              first.census().compressedBytes()
                  + second.census().compressedBytes()
                  + third.census().compressedBytes())
          .as("the parts are the whole")
          .isCloseTo(pool(host).bytes(), org.assertj.core.data.Offset.offset(3L));
      host.audit();
      requireKernel(third, 2 * MOVED);
      requireKernel(second, MOVED);
      requireKernel(first, 0);
      assertThat(pool(host).frames()).isZero();
      host.audit();
    }
  }

  @Test
  void whoseKernelOthersArePatchesToMayLeave() {
    try (HostMemory host = host(options());
        VmMemory third = vm(host, 2 * MOVED)) {
      try (VmMemory first = vm(host, 0);
          VmMemory second = vm(host, MOVED)) {
        first.compressPages(CODE);
        second.compressPages(CODE);
        third.compressPages(CODE);
      }
      host.audit();
      assertThat(pool(host).kept()).isGreaterThan(MOST);
      requireKernel(third, 2 * MOVED);
      assertThat(pool(host).frames()).isZero();
      host.audit();
    }
  }

  @Test
  void damageToOnePageStopsThoseThatStandOnItAndNoOther() {
    try (HostMemory host = host(options());
        VmMemory first = vm(host, 0);
        VmMemory second = vm(host, MOVED);
        VmMemory third = vm(host, 2 * MOVED)) {
      first.compressPages(CODE);
      second.compressPages(CODE);
      third.compressPages(CODE);
      long frame = 0;
      while (host.ledger().describe(frame).reason() != TransitionReason.KEPT_WHOLE) {
        frame++;
      }
      Hva.fill(host.machine().hva(frame << 12) + 100, 64, 0xEE);
      assertThatThrownBy(() -> requireKernel(second, MOVED)).hasMessageContaining("damaged");
      assertThatThrownBy(() -> requireKernel(third, 2 * MOVED)).hasMessageContaining("of vm 3");
      requireKernel(first, 0);
      host.audit();
    }
  }

  @Test
  void patchesGoToTheSwapFileAsTheirPages() throws Exception {
    FlakyStorage storage = new FlakyStorage(4 * PAGES * PAGE);
    ReclaimOptions little = options().withSwap(new SwapFile(storage, 4 * PAGES)).withPoolPercent(3);
    try (HostMemory host = host(little);
        VmMemory first = vm(host, 0);
        VmMemory second = vm(host, MOVED);
        VmMemory third = vm(host, 2 * MOVED)) {
      first.compressPages(CODE);
      second.compressPages(CODE);
      third.compressPages(CODE);
      assertThat(pool(host).patches()).isPositive();
      third.swapOutPages(CODE);
      // The pool is full: what has been there for longest makes room.
      for (int page = CODE; page < PAGES; page++) {
        third.write((long) page * PAGE, Relocated.records(page, 0), 0, PAGE);
      }
      third.compressPages(PAGES);
      assertThat(times(third, TransitionReason.WRITTEN_BACK)).isPositive();
      host.audit();
      requireKernel(third, 2 * MOVED);
      requireKernel(second, MOVED);
      requireKernel(first, 0);
      host.audit();
    }
  }

  @Test
  void patchesCanBeSwitchedOff() {
    try (HostMemory host = host(options().withPatches(false));
        VmMemory first = vm(host, 0);
        VmMemory second = vm(host, MOVED)) {
      assertThat(first.compressPages(CODE) + second.compressPages(CODE)).isZero();
      assertThat(pool(host).incompressible()).isEqualTo(2 * CODE);
      assertThat(pool(host).frames()).isZero();
    }
  }

  /** The first guest's pages are refused, for there is nothing like them; later there is. */
  @Test
  void aTrimmedGuestTriesAgainWhenThereIsSomethingLikeItsPages() throws Exception {
    try (HostMemory host = host(options())) {
      HostReclaim reclaim = host.reclaim().orElseThrow();
      reclaim.enablePolicy(
          PolicyOptions.DEFAULT.withTickNanos(1).withTrimAfterNanos(1_000_000_000L));
      try (VmMemory first = vm(host, 0);
          VmMemory second = vm(host, MOVED)) {
        for (VmMemory vm : new VmMemory[] {first, second}) {
          new CachingGuest(vm);
          vm.manage(VmTerms.of("vm" + vm.vmId(), PAGES));
        }
        for (int look = 1; look < 30; look++) {
          // Harvests of the accessed flags are 50 ms of the host's time apart.
          Thread.sleep(55);
          first.housekeep(look * 5_000_000_000L);
          second.housekeep(look * 5_000_000_000L);
          host.audit();
          if (first.pages(PageState.COMPRESSED) + second.pages(PageState.COMPRESSED) > 2 * MOST) {
            break;
          }
        }
        assertThat(pool(host).wholes()).isBetween(1L, 2 * CODE - pool(host).patches());
        assertThat(pool(host).patches()).isGreaterThan(MOST);
        assertThat(first.usage().count(FrameRole.GUEST_PAGE)).isLessThan(CODE - MOST);
        assertThat(reclaim.decisions()).anyMatch(decision -> decision.step() == Step.TRIM);
      }
    }
  }
}
