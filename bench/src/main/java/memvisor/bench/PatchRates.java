package memvisor.bench;

import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.compress.CompressionCounters;
import memvisor.host.page.Placement;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/**
 * How fast pages become patches and come back from them: those of a guest whose pointers lie
 * elsewhere than those of another, which are in the pool already, as with two kernels of one build.
 */
final class PatchRates {
  private PatchRates() {}

  /**
   * GB/s: the codec compressing, the pool making patches; the codec decompressing pages that are
   * compressed by themselves, the pool restoring patches.
   *
   * @param host machine memory for two guests of so many pages
   */
  static double[] of(HostMemory host, int pages, int rounds) {
    try (VmMemory first = guest(host, pages, 0);
        VmMemory second = guest(host, pages, 1)) {
      require(first.compressPages(pages), pages, "bases");
      return CompressionRates.of(
          second,
          pages,
          rounds,
          compressed -> {
            CompressionCounters counters = host.reclaim().orElseThrow().compression();
            // Of the others the sketches are in the way of each other.
            require(counters.patches(), pages * 9L / 10, "patches");
          });
    }
  }

  private static VmMemory guest(HostMemory host, int pages, int number) {
    MemoryRegion ram = new MemoryRegion(0, pages * 4096L, MemoryRegion.Kind.RAM);
    VmMemory vm = host.createVm(GuestMemoryMap.EMPTY.with(ram), Placement.SCATTERED);
    vm.joinTrustDomain("bench");
    PageContents.MOVED_RECORDS.fill(vm, 0, pages, number * PageContents.ONE_GUEST_ON);
    return vm;
  }

  private static void require(long count, long least, String what) {
    if (count < least) {
      throw new IllegalStateException("%d pages are %s, not %d".formatted(count, what, least));
    }
  }
}
