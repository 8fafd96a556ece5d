package memvisor.bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.List;
import java.util.Locale;
import memvisor.host.HostMemory;
import memvisor.host.page.PageState;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;

/**
 * How long it takes to move 128 MiB from one running Linux guest to another by their balloons,
 * there and back, as {@code memvisor balloon} does it. {@code bench/overcommit balloon} runs it.
 */
public final class BalloonMove {
  private static final long GUEST_BYTES = 256L << 20;
  private static final long MOVED_BYTES = 128L << 20;
  private static final long MOVED_PAGES = MOVED_BYTES / 4096;
  private static final long LONGEST_NANOS = 300_000_000_000L;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** Both guests compute meanwhile. */
  private static final String BUSY =
      "while :; do seq 1 2000 | sort -r | md5sum; done >/dev/null & true";

  private record Counts(double cpuSeconds, long instructions, long ballooned) {}

  private BalloonMove() {}

  /** Arguments: those of {@link OvercommitArguments}. */
  public static void main(String[] texts) throws IOException, InterruptedException {
    OvercommitArguments arguments = OvercommitArguments.of(texts);
    HostMemory memory = HostMemory.create(arguments.hostBytes());
    memory
        .enableReclaim(ReclaimOptions.none(arguments.hostBytes()))
        .enablePolicy(PolicyOptions.DEFAULT);
    try (VmHost host = new VmHost(memory)) {
      GuestShell first = arguments.boot(host, "a", GUEST_BYTES, List.of());
      Vm one = first.vm();
      GuestShell other = arguments.boot(host, "b", GUEST_BYTES, List.of());
      first.run(BUSY);
      other.run(BUSY);
      resize(other.vm(), GUEST_BYTES - MOVED_BYTES);
      await(other.vm(), MOVED_PAGES);
      System.out.printf(
          "%5s  %4s  %9s %9s  %8s %8s  %9s %9s%n",
          "round", "from", "taken s", "given s", "giver s", "taker s", "giver M", "taker M");
      for (int round = 1; round <= arguments.rounds(); round++) {
        boolean there = round % 2 == 1;
        move(round, there ? one : other.vm(), there ? other.vm() : one);
      }
      host.audit();
    }
  }

  private static void move(int round, Vm from, Vm to) throws InterruptedException {
    Counts giver = counts(from);
    Counts taker = counts(to);
    long start = System.nanoTime();
    resize(from, GUEST_BYTES - MOVED_BYTES);
    await(from, MOVED_PAGES);
    double taken = (System.nanoTime() - start) / 1e9;
    resize(to, GUEST_BYTES);
    await(to, 0);
    double all = (System.nanoTime() - start) / 1e9;
    Counts giverAfter = counts(from);
    Counts takerAfter = counts(to);
    System.out.printf(
        Locale.ROOT,
        "%5d  %4s  %9.2f %9.2f  %8.2f %8.2f  %9.0f %9.0f%n",
        round,
        from.name(),
        taken,
        all,
        giverAfter.cpuSeconds - giver.cpuSeconds,
        takerAfter.cpuSeconds - taker.cpuSeconds,
        (giverAfter.instructions - giver.instructions) / 1e6,
        (takerAfter.instructions - taker.instructions) / 1e6);
  }

  private static void resize(Vm vm, long bytes) {
    vm.resize(bytes);
  }

  private static void await(Vm vm, long pages) throws InterruptedException {
    long deadline = System.nanoTime() + LONGEST_NANOS;
    while (counts(vm).ballooned != pages) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException(
            "the balloon of %s holds %d pages, not %d"
                .formatted(vm.name(), counts(vm).ballooned, pages));
      }
      Thread.sleep(5);
    }
  }

  private static Counts counts(Vm vm) {
    return vm.inspect(
        machine ->
            new Counts(
                THREADS.getCurrentThreadCpuTime() / 1e9,
                machine.instructions(),
                machine.memory().pages(PageState.BALLOONED)));
  }
}
