package memvisor.bench;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import memvisor.device.virtio.FileStorage;
import memvisor.host.HostMemory;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapCounters;
import memvisor.host.swap.SwapFile;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.pc.VirtioSpec;

/**
 * Double paging: a Linux guest with more data than memory swaps to its disk, on a host that has
 * less memory than the guest believes it has and swaps, too. The guest writes out pages that it has
 * not used for long, and the host must first read them back, because it wrote them out for the same
 * reason. The same again with the balloon leaving the guest what the host really has. {@code
 * bench/overcommit double-paging} runs it.
 */
public final class DoublePaging {
  private static final long GUEST_BYTES = 128L << 20;
  private static final long DISK_BYTES = 256L << 20;

  private DoublePaging() {}

  /** Arguments: those of {@link OvercommitArguments}. */
  public static void main(String[] texts) throws IOException, InterruptedException {
    OvercommitArguments arguments = OvercommitArguments.of(texts);
    System.out.printf(
        "a guest of %d MiB on %d MiB, %d MiB of data%n",
        GUEST_BYTES >> 20, arguments.hostBytes() >> 20, 4 * arguments.rounds());
    System.out.printf(
        "%-8s  %11s %11s  %11s %11s  %11s  %9s  %s%n",
        "balloon",
        "guest out",
        "guest in",
        "host out",
        "host in",
        "paged twice",
        "M instr",
        "data");
    run(arguments, false);
    run(arguments, true);
  }

  private static void run(OvercommitArguments arguments, boolean balloon)
      throws IOException, InterruptedException {
    Path disk = arguments.file("disk");
    try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
      file.setLength(DISK_BYTES);
    }
    HostMemory memory = HostMemory.create(arguments.hostBytes());
    SwapFile swap = SwapFile.create(arguments.file("double-paging"), 2 * GUEST_BYTES);
    memory
        .enableReclaim(ReclaimOptions.none(arguments.hostBytes()).withSwap(swap))
        .enablePolicy(PolicyOptions.DEFAULT);
    try (FileStorage storage = new FileStorage(disk, false);
        VmHost host = new VmHost(memory)) {
      GuestShell shell =
          arguments.boot(host, "guest", GUEST_BYTES, List.of(new VirtioSpec.Disk(storage)));
      shell.run("mkswap /dev/vda && swapon /dev/vda");
      if (balloon) {
        // What the host has, less what the monitor's tables and marks take of it.
        shell.vm().resize(arguments.hostBytes() * 7 / 8);
        await(shell, arguments.hostBytes() * 7 / 8);
      }
      SwapCounters before = swap.counters();
      work(shell, arguments.rounds());
      report(shell, balloon, before, swap.counters());
      host.audit();
    } finally {
      Files.deleteIfExists(disk);
    }
  }

  private static void await(GuestShell shell, long leftBytes) throws InterruptedException {
    long pages = (GUEST_BYTES - leftBytes) >>> 12;
    for (int tries = 0; tries < 600; tries++) {
      if (shell.vm().inspect(machine -> machine.balloon().orElseThrow().state()).balloonedPages()
          >= pages) {
        return;
      }
      Thread.sleep(200);
    }
    throw new IllegalStateException("the balloon did not grow to %d pages".formatted(pages));
  }

  /** Writes files that differ, all of one random block, and reads them all twice. */
  private static void work(GuestShell shell, int files) throws InterruptedException {
    shell.run(
        "mkdir -p /w && mount -t tmpfs -o size=90% none /w; mount -o remount,size=200M /w; head -c"
            + " 4190000 /dev/urandom >/w/seed; md5sum </w/seed >/root/sum");
    shell.run("n=1; while [ $n -lt " + files + " ]; do cp /w/seed /w/$n; n=$((n+1)); done");
    String verify = "for f in /w/*; do md5sum <$f | cmp -s - /root/sum || echo $f is wrong; done";
    shell.run(verify);
    String wrong = shell.run(verify);
    if (!wrong.isEmpty()) {
      throw new IllegalStateException(wrong);
    }
  }

  private static void report(
      GuestShell shell, boolean balloon, SwapCounters before, SwapCounters after)
      throws InterruptedException {
    System.out.printf(
        Locale.ROOT,
        "%-8s  %11d %11d  %11d %11d  %11d  %9.0f  %s%n",
        balloon ? "in use" : "none",
        counter(shell, "pswpout"),
        counter(shell, "pswpin"),
        after.pagesOut() - before.pagesOut(),
        after.pagesIn() - before.pagesIn(),
        shell.vm().inspect(machine -> machine.memory().pagedTwice()),
        shell.vm().inspect(machine -> machine.instructions()) / 1e6,
        "as written");
  }

  private static long counter(GuestShell shell, String name) throws InterruptedException {
    return Long.parseLong(shell.run("grep ^" + name + " /proc/vmstat").replaceAll("[^0-9]", ""));
  }
}
