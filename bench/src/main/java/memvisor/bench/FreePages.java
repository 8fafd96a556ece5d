package memvisor.bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import memvisor.host.HostMemory;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.machine.fleet.VmHost;

/**
 * How long it takes until memory that a Linux guest frees is free on the host, by free-page
 * reporting alone: a guest deletes a file of 64 MiB in memory, again and again. What counts is the
 * share of what its own MemFree grows by. Linux reports free blocks of 2^9 pages and more two
 * seconds after one became free; the same for smaller blocks. {@code bench/overcommit free-pages}
 * runs it.
 */
public final class FreePages {
  private static final long GUEST_BYTES = 256L << 20;
  private static final long FILE_MIB = 64;

  /** Shares of what was freed whose return is timed: any of it, half, nine tenths. */
  private static final double[] SHARES = {0, 0.5, 0.9};

  /** Several times the two seconds for which Linux waits. */
  private static final long QUIET_NANOS = 10_000_000_000L;

  private static final String ORDER = "/sys/module/page_reporting/parameters/page_reporting_order";
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /**
   * What happened after one file was deleted.
   *
   * @param freedBytes by which MemFree grew
   * @param backBytes by which the host's free memory grew
   * @param nanos when each of the shares was back; -1: never
   * @param lastNanos when the last of it was back
   * @param cpuSeconds processor time of the guest for writing and deleting the file
   */
  private record Return(
      long freedBytes, long backBytes, List<Long> nanos, long lastNanos, double cpuSeconds) {
    static Return of(long freedBytes, List<long[]> seen, double cpuSeconds) {
      List<Long> nanos = new ArrayList<>();
      for (double share : SHARES) {
        nanos.add(
            seen.stream()
                .filter(moment -> moment[1] > freedBytes * share)
                .mapToLong(moment -> moment[0])
                .findFirst()
                .orElse(-1));
      }
      long[] last = seen.isEmpty() ? new long[] {-1, 0} : seen.getLast();
      return new Return(freedBytes, last[1], nanos, last[0], cpuSeconds);
    }
  }

  private FreePages() {}

  /** Arguments: those of {@link OvercommitArguments}. */
  public static void main(String[] texts) throws IOException, InterruptedException {
    OvercommitArguments arguments = OvercommitArguments.of(texts);
    HostMemory memory = HostMemory.create(arguments.hostBytes());
    memory.enableReclaim(ReclaimOptions.none(arguments.hostBytes()));
    try (VmHost host = new VmHost(memory)) {
      GuestShell shell = arguments.bootReporting(host, "guest", GUEST_BYTES);
      String linux = shell.run("cat " + ORDER);
      System.out.printf(
          "a guest of %d MiB; Linux reports blocks of 2^%s pages unless told otherwise%n",
          GUEST_BYTES >> 20, linux);
      System.out.printf(
          "%5s %5s  %9s %9s  %7s %7s %7s %7s  %7s%n",
          "order",
          "round",
          "freed MiB",
          "back MiB",
          "first s",
          "50% s",
          "90% s",
          "last s",
          "cpu s");
      for (String order : List.of(linux, "7", "5", "3", "0")) {
        shell.run("echo " + order + " >" + ORDER);
        // The first file also brings back smaller blocks that were free before.
        deleteFile(memory, shell);
        for (int round = 1; round <= arguments.rounds(); round++) {
          print(order, round, deleteFile(memory, shell));
        }
      }
      host.audit();
    }
  }

  private static void print(String order, int round, Return seen) {
    System.out.printf(
        Locale.ROOT,
        "%5s %5d  %9.1f %9.1f  %7s %7s %7s %7s  %7.2f%n",
        order,
        round,
        seen.freedBytes / 1048576.0,
        seen.backBytes / 1048576.0,
        seconds(seen.nanos.get(0)),
        seconds(seen.nanos.get(1)),
        seconds(seen.nanos.get(2)),
        seconds(seen.lastNanos),
        seen.cpuSeconds);
  }

  private static String seconds(long nanos) {
    return nanos < 0 ? "never" : String.format(Locale.ROOT, "%.2f", nanos / 1e9);
  }

  private static Return deleteFile(HostMemory memory, GuestShell shell)
      throws InterruptedException {
    double cpu = cpuSeconds(shell);
    shell.run("dd if=/dev/zero of=/tmp/file bs=1M count=" + FILE_MIB + " 2>/dev/null");
    awaitQuiet(memory);
    long guestBefore = freeBytes(shell);
    long hostBefore = memory.freeBytes();
    long start = System.nanoTime();
    shell.begin("rm /tmp/file");
    List<long[]> seen = watch(memory, hostBefore, start);
    shell.end();
    // What is being reported does not count as free in the guest: not before all is quiet.
    return Return.of(freeBytes(shell) - guestBefore, seen, cpuSeconds(shell) - cpu);
  }

  /** When so many bytes more were free on the host, until nothing happened any more. */
  private static List<long[]> watch(HostMemory memory, long before, long start)
      throws InterruptedException {
    List<long[]> seen = new ArrayList<>();
    long back = 0;
    long last = 0;
    for (long now = 0; now - last < QUIET_NANOS; now = System.nanoTime() - start) {
      long free = memory.freeBytes() - before;
      if (free > back) {
        seen.add(new long[] {now, free});
        back = free;
        last = now;
      }
      Thread.sleep(5);
    }
    return seen;
  }

  /** Waits until nothing was given back for a while. */
  private static void awaitQuiet(HostMemory memory) throws InterruptedException {
    long seen = memory.freeBytes();
    long since = System.nanoTime();
    while (System.nanoTime() - since < QUIET_NANOS / 2) {
      Thread.sleep(50);
      since = memory.freeBytes() > seen ? System.nanoTime() : since;
      seen = memory.freeBytes();
    }
  }

  private static double cpuSeconds(GuestShell shell) {
    return shell.vm().inspect(machine -> THREADS.getCurrentThreadCpuTime() / 1e9);
  }

  private static long freeBytes(GuestShell shell) throws InterruptedException {
    return Long.parseLong(shell.run("grep ^MemFree: /proc/meminfo").replaceAll("[^0-9]", "")) << 10;
  }
}
