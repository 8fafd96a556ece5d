package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A guest that swaps has a device read whole pages that it has not used for long. Those that the
 * host had put away for the same reason are paged twice; no others are.
 */
final class PagedTwiceTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 64;
  private static final int GFN = 7;
  private static final long HOST_BYTES = 4L * PAGES * PAGE;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY.with(new MemoryRegion(0, (long) PAGES * PAGE, MemoryRegion.Kind.RAM));

  @TempDir private Path directory;

  /** What was done to the page, the bytes that are read of it, and whether that counts. */
  static Stream<Arguments> cases() {
    Consumer<VmMemory> nothing = vm -> {};
    return Stream.of(
        Arguments.of(PageState.RESIDENT, nothing, PAGE, 0),
        Arguments.of(PageState.COMPRESSED, compressed(), PAGE, 1),
        Arguments.of(PageState.COMPRESSED, compressed(), 512, 0),
        Arguments.of(PageState.SWAPPED, swapped(), PAGE, 1),
        Arguments.of(PageState.SWAPPED, swapped(), 512, 0),
        Arguments.of(PageState.BALLOONED, ballooned(), PAGE, 0));
  }

  private static Consumer<VmMemory> compressed() {
    return vm -> vm.compressPages(PAGES);
  }

  private static Consumer<VmMemory> swapped() {
    return vm -> vm.swapOutPages(PAGES);
  }

  private static Consumer<VmMemory> ballooned() {
    return vm -> vm.balloon().inflate(GFN, 1);
  }

  @ParameterizedTest(name = "{0}, {2} bytes")
  @MethodSource("cases")
  void aWholePageReadFromWhereTheHostPutItCounts(
      PageState state, Consumer<VmMemory> putAway, int bytes, int twice) throws IOException {
    try (HostMemory host = HostMemory.create(HOST_BYTES)) {
      host.enableReclaim(
          ReclaimOptions.none(HOST_BYTES)
              .withCompression(true)
              .withSwap(SwapFile.create(directory.resolve("swap"), HOST_BYTES)));
      try (VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
        for (int gfn = 0; gfn < PAGES; gfn++) {
          for (int offset = 0; offset < PAGE; offset += 64) {
            vm.writeValue((long) gfn * PAGE + offset, 8, gfn * 1000L + offset + 1);
          }
        }
        putAway.accept(vm);
        assertThat(vm.describe(GFN).state()).isEqualTo(state);
        byte[] read = new byte[bytes];
        vm.read((long) GFN * PAGE, read, 0, bytes);
        assertThat(read[0]).isEqualTo((byte) (state == PageState.BALLOONED ? 0 : GFN * 1000 + 1));
        assertThat(vm.pagedTwice()).isEqualTo(twice);
        assertThat(vm.describe(GFN).state()).as("it stays there").isEqualTo(state);
        host.audit();
      }
    }
  }
}
