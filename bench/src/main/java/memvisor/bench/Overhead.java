package memvisor.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;

/**
 * What it costs a busy Linux guest that its memory can be taken back: the same work by two guests
 * in turn, one on a host with deduplication, compression, swap, balloon and policy, one on a host
 * with none of them. {@code bench/overcommit overhead} runs it.
 *
 * <p>Figures are processor time and instructions, so that other load on the machine matters little;
 * each pair of turns gives a ratio, of which the median counts.
 */
public final class Overhead {
  private static final long GUEST_BYTES = 256L << 20;
  private static final int WARM_UP = 3;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** Sorting, compressing, hashing, copying files, starting programs: some seconds. */
  private static final String WORK =
      "seq 1 8000 | sort -r | gzip -c | sha256sum >/w/sum; sha256sum /w/data >/w/hash; cp /w/data"
          + " /w/copy; cmp /w/data /w/copy; head -c 500000 /w/copy | gzip -c >/w/z; rm /w/copy /w/z;"
          + " i=0; while [ $i -lt 30 ]; do /bin/busybox true; i=$((i+1)); done";

  /** What one turn took. */
  private record Turn(double vmSeconds, double helperSeconds, long instructions, double tended) {}

  /** One of the two. */
  private record Side(String name, VmHost host, GuestShell shell) implements AutoCloseable {
    @Override
    public void close() {
      host.close();
    }
  }

  private Overhead() {}

  /** Arguments: those of {@link OvercommitArguments}; the host that reclaims has that memory. */
  public static void main(String[] texts) throws IOException, InterruptedException {
    OvercommitArguments arguments = OvercommitArguments.of(texts);
    HostMemory on = HostMemory.create(arguments.hostBytes());
    on.enableReclaim(
            ReclaimOptions.none(arguments.hostBytes())
                .withDedup(DedupOptions.ON)
                .withCompression(true)
                .withSwap(SwapFile.create(arguments.file("overhead"), 2 * GUEST_BYTES)))
        .enablePolicy(PolicyOptions.DEFAULT);
    try (Side off = side("off", HostMemory.create(2 * GUEST_BYTES), arguments);
        Side all = side("on", on, arguments)) {
      measure(off, all, arguments.rounds());
      report(all.host());
    }
  }

  private static Side side(String name, HostMemory memory, OvercommitArguments arguments)
      throws InterruptedException {
    VmHost host = new VmHost(memory);
    GuestShell shell = arguments.boot(host, name, GUEST_BYTES, List.of());
    shell.run("mkdir -p /w; (seq 1 20000; head -c 4000000 /dev/urandom) >/w/data");
    return new Side(name, host, shell);
  }

  private static void measure(Side off, Side on, int rounds) throws InterruptedException {
    List<Double> ratios = new ArrayList<>();
    List<Double> perInstruction = new ArrayList<>();
    System.out.printf(
        "%5s  %8s %8s %8s  %8s %8s %8s %8s  %6s%n",
        "round", "off cpu", "helpers", "M instr", "on cpu", "helpers", "M instr", "tending",
        "on/off");
    for (int round = 1 - WARM_UP; round <= rounds; round++) {
      // Whoever goes second finds the other's work in the caches: they take turns in that, too.
      Turn second = round % 2 == 0 ? turn(on.shell()) : null;
      Turn plain = turn(off.shell());
      Turn full = second != null ? second : turn(on.shell());
      double ratio = full.vmSeconds / plain.vmSeconds;
      System.out.printf(
          Locale.ROOT,
          "%5s  %8.2f %8.2f %8.0f  %8.2f %8.2f %8.0f %8.2f  %6.3f%n",
          round < 1 ? "warm" : String.valueOf(round),
          plain.vmSeconds,
          plain.helperSeconds,
          plain.instructions / 1e6,
          full.vmSeconds,
          full.helperSeconds,
          full.instructions / 1e6,
          full.tended,
          ratio);
      if (round >= 1) {
        ratios.add(ratio);
        perInstruction.add(ratio * plain.instructions / full.instructions);
      }
    }
    System.out.printf(
        Locale.ROOT,
        "median on/off: %.3f of the processor time, %.3f per instruction%n",
        median(ratios),
        median(perInstruction));
  }

  private static double median(List<Double> values) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    return sorted.get(sorted.size() / 2);
  }

  /** One side's turn, while the guest of the other is held. */
  private static Turn turn(GuestShell shell) throws InterruptedException {
    Turn before = now(shell.vm());
    shell.run(WORK);
    Turn after = now(shell.vm());
    return new Turn(
        after.vmSeconds - before.vmSeconds,
        after.helperSeconds - before.helperSeconds,
        after.instructions - before.instructions,
        after.tended - before.tended);
  }

  /** Counts so far, taken by the VM's own thread. Helpers: all threads but that of the VM. */
  private static Turn now(Vm vm) {
    return vm.inspect(
        machine -> {
          double vmSeconds = THREADS.getCurrentThreadCpuTime() / 1e9;
          double all =
              ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                      .getProcessCpuTime()
                  / 1e9;
          return new Turn(
              vmSeconds,
              all - vmSeconds,
              machine.instructions(),
              machine.times().housekeeping() / 1e9);
        });
  }

  private static void report(VmHost host) {
    Optional<HostReclaim> reclaim = host.memory().reclaim();
    host.vms().getFirst().sample().ifPresent(sample -> System.out.println(sample.transitions()));
    reclaim.ifPresent(on -> System.out.println(on.dedup() + " " + on.compression()));
  }
}
