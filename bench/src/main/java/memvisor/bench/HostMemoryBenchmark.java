package memvisor.bench;

import java.util.concurrent.TimeUnit;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.Placement;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Nanoseconds for the host's work on one frame: to allocate it for a table and free it again, to
 * move a guest page to another frame, and to answer where a guest page is.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {
      "--enable-native-access=ALL-UNNAMED",
      "--sun-misc-unsafe-memory-access=allow",
      "-XX:+UseSerialGC"
    })
public class HostMemoryBenchmark {
  private static final long HOST_BYTES = 256L << 20;
  private static final long GUEST_BYTES = 64L << 20;
  private static final int PAGES = (int) (GUEST_BYTES >> 12);

  /** Coprime to the number of pages: visits each before it comes back. */
  private static final int STRIDE = 4099;

  private HostMemory host;
  private VmMemory vm;
  private int next;

  /** Gives a guest all its memory. */
  @Setup
  public void create() {
    host = HostMemory.create(HOST_BYTES);
    vm = host.createVm(ram(), Placement.SCATTERED);
    for (int gfn = 0; gfn < PAGES; gfn++) {
      vm.frame(gfn, true);
    }
  }

  private static GuestMemoryMap ram() {
    return GuestMemoryMap.EMPTY.with(new MemoryRegion(0, GUEST_BYTES, MemoryRegion.Kind.RAM));
  }

  /** Gives it back. */
  @TearDown
  public void close() {
    vm.close();
    host.close();
  }

  private int nextPage() {
    next = (next + STRIDE) & PAGES - 1;
    return next;
  }

  /** A frame for a table, cleared, and back. */
  @Benchmark
  public void allocateAndFree() {
    vm.freeTable(vm.allocateTable(FrameRole.NESTED_TABLE));
  }

  /** Copies the page of 4 KiB and moves what stands in the ledger. */
  @Benchmark
  public boolean movePage() {
    return vm.movePage(nextPage());
  }

  /** Where is a page of the guest? */
  @Benchmark
  public long lookUp() {
    return vm.frame(nextPage(), true);
  }
}
