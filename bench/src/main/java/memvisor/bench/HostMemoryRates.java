package memvisor.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Optional;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;

/**
 * How fast host memory scans, merges, compresses and swaps pages, each beside the peer that bounds
 * it in the same run: a copy of memory out of cache, the codec alone, the file alone.
 *
 * <p>Processor time of one thread; medians of alternating rounds.
 */
public final class HostMemoryRates {
  private static final int PAGE = 4096;
  private static final int ROUNDS = 7;

  /** The guest's clock between two looks at its memory. */
  private static final long TICK_NANOS = 20_000_000L;

  /** A thousand batches for every 16 MiB: by then the scan is as slow as it gets. */
  private static final double TICKS_PER_BYTE = 1000.0 / (16 << 20);

  private static final long LONGEST_NANOS = 1L << 42;

  private final PrintStream out;
  private final Path directory;

  private HostMemoryRates(PrintStream out, Path directory) {
    this.out = out;
    this.directory = directory;
  }

  /** Arguments: the smallest guest in MiB, how often it doubles, a directory for the swap file. */
  public static void main(String[] arguments) throws IOException {
    int mebibytes = Integer.parseInt(arguments[0]);
    int doublings = Integer.parseInt(arguments[1]);
    HostMemoryRates rates = new HostMemoryRates(System.out, Path.of(arguments[2]));
    // Until the code is compiled; not shown.
    rates.measure(mebibytes, false);
    rates.measure(mebibytes, false);
    rates.out.printf("%6s  %-34s %9s  %-24s %9s %6s%n", "MiB", "what", "", "peer", "", "ratio");
    for (int doubling = 0; doubling <= doublings; doubling++) {
      rates.measure(mebibytes << doubling, true);
    }
  }

  private void measure(int mebibytes, boolean show) throws IOException {
    long bytes = (long) mebibytes << 20;
    double copy = copyRate(bytes);
    double scan = scanRate(bytes);
    double[] merge = mergeMicroseconds(bytes);
    double[] compress = compressRates(bytes);
    double[] patch = patchRates(bytes);
    double[] swap = swapRates(bytes);
    double[] large = largePages(bytes);
    double[] latency = mergeLatencySeconds(bytes);
    double audit = auditNanos(bytes);
    if (!show) {
      return;
    }
    row(mebibytes, "scan", scan, "copy out of cache", copy);
    row(mebibytes, "compress", compress[1], "codec alone", compress[0]);
    row(mebibytes, "decompress", compress[3], "codec alone", compress[2]);
    row(mebibytes, "compress, as a patch", patch[1], "codec alone, by itself", patch[0]);
    row(mebibytes, "restore a patch", patch[3], "codec alone, by itself", patch[2]);
    row(mebibytes, "swap out", swap[1], "file alone, 128K writes", swap[0]);
    row(mebibytes, "swap in", swap[3], "file alone, 32K reads", swap[2]);
    row(mebibytes, "collapse 2 MiB blocks", large[1], "copy out of cache", copy);
    out.printf(
        "%6d  %-34s %6.2f us%n", mebibytes, "split a 2 MiB block by moving a page", large[0]);
    out.printf("%6d  %-34s %6.2f us%n", mebibytes, "merge a page, both scanned", merge[0]);
    out.printf("%6d  %-34s %6.2f us%n", mebibytes, "part it by a write", merge[1]);
    out.printf("%6d  %-34s %6.2f ns%n", mebibytes, "audit, for each guest page", audit);
    out.printf(
        "%6d  %-34s %6.2f s of the guest's clock%n",
        mebibytes, "merge latency, a new guest", latency[0]);
    out.printf(
        "%6d  %-34s %6.2f s of the guest's clock%n",
        mebibytes, "merge latency, nothing to merge long", latency[1]);
  }

  private void row(int mebibytes, String what, double rate, String peer, double peerRate) {
    out.printf(
        "%6d  %-34s %4.2f GB/s  %-24s %4.2f GB/s %6.2f%n",
        mebibytes, what, rate, peer, peerRate, rate / peerRate);
  }

  private static ReclaimOptions options(long hostBytes) {
    return ReclaimOptions.none(hostBytes)
        .withDedup(DedupOptions.ON)
        .withCompression(true)
        .withPoolPercent(100);
  }

  private static HostMemory host(long bytes, Optional<SwapFile> swap) {
    long hostBytes = bytes * 2 + (64L << 20);
    HostMemory host = HostMemory.create(hostBytes);
    ReclaimOptions options = options(hostBytes);
    host.enableReclaim(swap.map(options::withSwap).orElse(options));
    return host;
  }

  private static VmMemory guest(HostMemory host, long bytes, PageContents contents) {
    return guest(host, bytes, Placement.SCATTERED, contents);
  }

  private static VmMemory guest(
      HostMemory host, long bytes, Placement placement, PageContents contents) {
    VmMemory vm =
        host.createVm(
            GuestMemoryMap.EMPTY.with(new MemoryRegion(0, bytes, MemoryRegion.Kind.RAM)),
            placement);
    contents.fill(vm, 0, bytes / PAGE, 1);
    return vm;
  }

  /** GB/s of copying memory out of cache, as the C library's memcpy would. */
  private static double copyRate(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      long length = Math.max(bytes, 256L << 20);
      long from = arena.allocate(length, PAGE).address();
      long to = arena.allocate(length, PAGE).address();
      Hva.fill(from, length, 1);
      Hva.fill(to, length, 2);
      Stopwatch watch = new Stopwatch(ROUNDS);
      for (int round = 0; round < ROUNDS; round++) {
        watch.start();
        Hva.copy(from, to, length);
        watch.stop();
      }
      return watch.gigabytesPerSecond(length);
    }
  }

  /** GB/s of looking at pages of which none is like another, all of them seen before. */
  private static double scanRate(long bytes) {
    try (HostMemory host = host(bytes, Optional.empty());
        VmMemory vm = guest(host, bytes, PageContents.UNIQUE)) {
      vm.scanForEqualPages();
      vm.scanForEqualPages();
      Stopwatch watch = new Stopwatch(ROUNDS);
      for (int round = 0; round < ROUNDS; round++) {
        watch.start();
        vm.scanForEqualPages();
        watch.stop();
      }
      return watch.gigabytesPerSecond(bytes);
    }
  }

  /** Microseconds to merge a page with its like, scan included, and to part them by a write. */
  private static double[] mergeMicroseconds(long bytes) {
    try (HostMemory host = host(bytes, Optional.empty());
        VmMemory vm = guest(host, bytes, PageContents.PAIRS)) {
      vm.scanForEqualPages();
      Stopwatch merging = new Stopwatch(1);
      merging.start();
      long merged = vm.scanForEqualPages();
      merging.stop();
      Stopwatch parting = new Stopwatch(1);
      parting.start();
      for (long gfn = 0; gfn < bytes / PAGE; gfn += 2) {
        vm.frame(gfn, true);
      }
      parting.stop();
      return new double[] {
        merging.medianNanos() / Math.max(1, merged) / 1e3,
        parting.medianNanos() / (bytes / PAGE / 2) / 1e3
      };
    }
  }

  /**
   * Seconds of a guest's clock from two pages becoming equal to their being merged, among pages of
   * which none is like another: in a guest whose pages were never looked at, and in one that has
   * been scanned for so long that the scan has become as slow as it gets. Not times but counts: the
   * scan follows the guest's clock, which is made to tick here.
   */
  private static double[] mergeLatencySeconds(long bytes) {
    try (HostMemory host = host(bytes, Optional.empty());
        VmMemory vm = guest(host, bytes, PageContents.UNIQUE)) {
      long last = bytes / PAGE - 1;
      makeEqual(vm, 0, last, 1);
      long merged = tickUntil(vm, 0, 2);
      long slow = merged;
      for (long end = merged + (long) (bytes * TICKS_PER_BYTE) * TICK_NANOS; slow < end; ) {
        slow += TICK_NANOS;
        vm.housekeep(slow);
      }
      makeEqual(vm, 1, last - 1, 2);
      return new double[] {merged / 1e9, (tickUntil(vm, slow, 4) - slow) / 1e9};
    }
  }

  private static void makeEqual(VmMemory vm, long one, long other, long seed) {
    for (int offset = 0; offset < PAGE; offset += 8) {
      long value = (offset + seed) * 0x9E37_79B9_7F4A_7C15L;
      vm.writeValue((one << 12) + offset, 8, value);
      vm.writeValue((other << 12) + offset, 8, value);
    }
  }

  /** Lets a guest's clock tick until so many of its pages are shared; the clock then. */
  private static long tickUntil(VmMemory vm, long now, long sharedPages) {
    long clock = now;
    while (vm.pages(PageState.SHARED) < sharedPages) {
      clock += TICK_NANOS;
      vm.housekeep(clock);
      if (clock - now > LONGEST_NANOS) {
        throw new IllegalStateException("not merged after %d s".formatted(LONGEST_NANOS >> 30));
      }
    }
    return clock;
  }

  /** Nanoseconds for each guest page to prove that the ledger and the pages agree. */
  private static double auditNanos(long bytes) {
    try (HostMemory host = host(bytes, Optional.empty());
        VmMemory vm = guest(host, bytes, PageContents.PAIRS)) {
      vm.scanForEqualPages();
      vm.scanForEqualPages();
      vm.compressPages(bytes / PAGE / 4);
      Stopwatch watch = new Stopwatch(ROUNDS);
      for (int round = 0; round < ROUNDS; round++) {
        watch.start();
        host.audit();
        watch.stop();
      }
      return watch.medianNanos() / (bytes / PAGE);
    }
  }

  /** GB/s: the codec compressing, the whole path; the codec decompressing, the whole path. */
  private static double[] compressRates(long bytes) {
    int pages = (int) (bytes / PAGE);
    try (HostMemory host = host(bytes, Optional.empty());
        VmMemory vm = guest(host, bytes, PageContents.RECORDS)) {
      return CompressionRates.of(
          vm,
          pages,
          ROUNDS,
          compressed -> {
            if (compressed != pages) {
              throw new IllegalStateException("compressed %d of %d".formatted(compressed, pages));
            }
          });
    }
  }

  /** As {@link #compressRates}, of pages that are like those of a guest that is in the pool. */
  private static double[] patchRates(long bytes) {
    try (HostMemory host = host(2 * bytes, Optional.empty())) {
      return PatchRates.of(host, (int) (bytes / PAGE), ROUNDS);
    }
  }

  /** Microseconds to split a block by moving one of its pages; GB/s of putting blocks together. */
  private static double[] largePages(long bytes) {
    try (HostMemory host = HostMemory.create(bytes * 2 + (64L << 20));
        VmMemory vm = guest(host, bytes, Placement.HUGE, PageContents.UNIQUE)) {
      Stopwatch splitting = new Stopwatch(ROUNDS);
      Stopwatch collapsing = new Stopwatch(ROUNDS);
      long blocks = bytes >> 21;
      for (int round = 0; round < ROUNDS; round++) {
        splitting.start();
        for (long block = 0; block < blocks; block++) {
          vm.movePage(block << 9);
        }
        splitting.stop();
        collapsing.start();
        long collapsed = vm.collapseLargePages();
        collapsing.stop();
        if (collapsed != blocks) {
          throw new IllegalStateException("collapsed %d of %d".formatted(collapsed, blocks));
        }
      }
      return new double[] {
        splitting.medianNanos() / blocks / 1e3, collapsing.gigabytesPerSecond(bytes)
      };
    }
  }

  private static double[] rates(Stopwatch[] watches, long bytes) {
    return Arrays.stream(watches).mapToDouble(w -> w.gigabytesPerSecond(bytes)).toArray();
  }

  /** GB/s: writing a file, swapping out; reading a file, swapping in. */
  private double[] swapRates(long bytes) throws IOException {
    Path swapPath = directory.resolve("memvisor-bench-swap");
    Path rawPath = directory.resolve("memvisor-bench-raw");
    long pages = bytes / PAGE;
    try (HostMemory host = host(bytes, Optional.of(SwapFile.create(swapPath, bytes)));
        VmMemory vm = guest(host, bytes, PageContents.UNIQUE);
        FileChannel raw =
            FileChannel.open(
                rawPath,
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE,
                StandardOpenOption.DELETE_ON_CLOSE);
        Arena arena = Arena.ofConfined()) {
      long buffer = arena.allocate(bytes, PAGE).address();
      Stopwatch[] watches = new Stopwatch[4];
      Arrays.setAll(watches, i -> new Stopwatch(ROUNDS));
      for (int round = 0; round < ROUNDS; round++) {
        watches[0].start();
        for (long at = 0; at < bytes; at += SwapFile.CLUSTER * PAGE) {
          raw.write(Hva.buffer(buffer + at, SwapFile.CLUSTER * PAGE), at);
        }
        watches[0].stop();
        watches[1].start();
        long written = vm.swapOutPages(pages);
        watches[1].stop();
        if (written != pages) {
          throw new IllegalStateException("swapped out %d of %d".formatted(written, pages));
        }
        watches[2].start();
        for (long at = 0; at < bytes; at += 8 * PAGE) {
          raw.read(Hva.buffer(buffer + at, 8 * PAGE), at);
        }
        watches[2].stop();
        watches[3].start();
        for (long gfn = 0; gfn < pages; gfn++) {
          vm.frame(gfn, false);
        }
        watches[3].stop();
      }
      return rates(watches, bytes);
    } finally {
      Files.deleteIfExists(rawPath);
    }
  }
}
