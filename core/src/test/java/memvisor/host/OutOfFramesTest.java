package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import java.util.function.LongPredicate;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Machine memory runs out at the n-th allocation, for every n of a run that uses all there is: the
 * VM that asked stops with its reason or goes on, the books stay exact, the other VM loses nothing,
 * and in the end every frame is free.
 */
final class OutOfFramesTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 64;
  private static final int STEPS = 400;

  /** Every n up to here, by default one in 29. */
  private static final int STRIDE = Integer.getInteger("memvisor.stride", 29);

  private static VmMemory vm(HostMemory host) {
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY.with(new MemoryRegion(0, PAGES * PAGE, MemoryRegion.Kind.RAM));
    VmMemory vm = host.createVm(map, Placement.SCATTERED);
    vm.joinTrustDomain("together");
    return vm;
  }

  /** Runs the same steps each time; how many allocations it took. */
  private static long run(LongPredicate refusal) {
    long[] allocations = new long[1];
    HostMemory host = HostMemory.create(new HostMemoryOptions(128 * PAGE, 1, true));
    FlakyStorage storage = new FlakyStorage(4 * PAGES * PAGE);
    try (host) {
      host.enableReclaim(
          ReclaimOptions.none(128 * PAGE)
              .withDedup(DedupOptions.ON)
              .withCompression(true)
              .withSwap(new SwapFile(storage, 4 * PAGES)));
      VmMemory bystander = vm(host);
      for (long gfn = 0; gfn < 16; gfn++) {
        bystander.writeValue(gfn * PAGE, 8, 1000 + gfn);
      }
      host.refuse(
          n -> {
            allocations[0] = n;
            return refusal.test(n);
          });
      VmMemory victim = vm(host);
      long[] model = new long[PAGES];
      try {
        steps(victim, model);
      } catch (HostMemoryException stopped) {
        assertThat(stopped).hasMessageContaining("machine memory is exhausted");
        assertThat(victim.failure()).isPresent();
      }
      host.audit();
      host.refuse(n -> false);
      for (int gfn = 0; gfn < PAGES && victim.failure().isEmpty(); gfn++) {
        assertThat(victim.readValue((long) gfn * PAGE, 8)).as("page %d", gfn).isEqualTo(model[gfn]);
      }
      for (long gfn = 0; gfn < 16; gfn++) {
        assertThat(bystander.readValue(gfn * PAGE, 8)).isEqualTo(1000 + gfn);
      }
      assertThat(bystander.failure()).isEmpty();
      victim.close();
      host.audit();
      bystander.close();
      host.audit();
      long kept = host.ledger().totals().count(FrameRole.ZERO_PAGE);
      assertThat(host.freeBytes()).isEqualTo((128 - kept) * PAGE);
      return allocations[0];
    }
  }

  private static void steps(VmMemory vm, long[] model) {
    SplittableRandom random = new SplittableRandom(33);
    CachingGuest guest = new CachingGuest(vm);
    for (int step = 0; step < STEPS; step++) {
      int gfn = random.nextInt(PAGES);
      switch (random.nextInt(12)) {
        case 0 -> vm.scanForEqualPages();
        case 1 -> vm.compressPages(random.nextInt(10));
        case 2 -> vm.swapOutPages(random.nextInt(10));
        case 3 -> vm.movePage(gfn);
        case 4 -> {
          vm.balloon().inflate(gfn, 2);
          model[gfn] = 0;
          model[Math.min(PAGES - 1, gfn + 1)] = 0;
        }
        case 5 -> vm.balloon().deflate(gfn, 4);
        case 6 -> {
          long table = vm.allocateTable(FrameRole.NESTED_TABLE);
          if (table >= 0) {
            vm.freeTable(table);
          }
        }
        default -> {
          long value = random.nextInt(3);
          guest.write((long) gfn * PAGE, value);
          model[gfn] = value;
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whereverItHappensOnlyTheVmThatAskedStops(boolean fromThenOn) {
    long all = run(n -> false);
    assertThat(all).isGreaterThan(100);
    for (long at = 0; at <= all; at += STRIDE) {
      long first = at;
      run(n -> fromThenOn ? n >= first : n == first);
    }
  }
}
