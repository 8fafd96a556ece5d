package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.device.virtio.FileStorage;
import memvisor.host.HostMemory;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.policy.VmTerms;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapCounters;
import memvisor.host.swap.SwapFile;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Linux with more data than memory swaps to its own disk, on a host that has less memory than the
 * guest believes it has and swaps, too. What the guest writes out is what it has not used for long,
 * and so is what the host wrote out: the host must read it back for the guest to write it.
 *
 * <p>A balloon that leaves the guest what the host has spares the host that: the guest then chooses
 * what goes, and nothing goes twice. Where the policy has the balloon grow only as memory becomes
 * short, the guest fills memory faster than that, and the host has to swap some.
 *
 * <p>It takes minutes of processor time, and runs where {@code memvisor.doublePaging} is true.
 */
@Timeout(value = 30, unit = TimeUnit.MINUTES)
@EnabledIfSystemProperty(named = "memvisor.doublePaging", matches = "true")
final class LinuxDoublePagingTest {
  private static final long MIB = 1L << 20;
  private static final long PAGE_BYTES = 4096;
  private static final long GUEST_BYTES = 128 * MIB;
  private static final long HOST_BYTES = 72 * MIB;

  /** What the host has, less what the monitor's tables and marks take of it. */
  private static final long LIMIT_PAGES = HOST_BYTES * 7 / 8 / PAGE_BYTES;

  private static final long DISK_BYTES = 256 * MIB;
  private static final long FILE_BYTES = 4 * MIB;
  private static final int FILES = 26;

  /** Files that are read again, first to last. */
  private static final int[] READ = {0, 7, 13, 25};

  /** What the policy can do but swap. */
  private enum Means {
    NO_BALLOON,
    BALLOON_UNDER_PRESSURE,
    BALLOON_FROM_THE_START
  }

  /** What a run came to, in pages. */
  private record Result(long guestOut, SwapCounters host, long twice) {}

  @TempDir private Path directory;

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW"})
  void aBalloonSparesTheHostWhatTheGuestSwapsItself(TechniqueKind technique) throws IOException {
    Map<Means, Result> results = new EnumMap<>(Means.class);
    for (Means means : Means.values()) {
      Result result = run(technique, means);
      System.out.printf("double paging, %s, %s: %s%n", technique, means, result);
      assertThat(result.guestOut).as("the guest swaps").isGreaterThan(2000);
      assertThat(result.twice).isLessThanOrEqualTo(result.guestOut);
      results.put(means, result);
    }
    long twice = result(results, Means.NO_BALLOON).twice;
    assertThat(twice).as("paged twice").isGreaterThan(20);
    assertThat(result(results, Means.BALLOON_UNDER_PRESSURE).twice).isLessThan(twice);
    assertThat(result(results, Means.BALLOON_FROM_THE_START).twice).isLessThanOrEqualTo(twice / 20);
    assertThat(result(results, Means.BALLOON_FROM_THE_START).host.pagesOut())
        .isLessThan(result(results, Means.NO_BALLOON).host.pagesOut());
  }

  private static Result result(Map<Means, Result> results, Means means) {
    return Objects.requireNonNull(results.get(means));
  }

  private Result run(TechniqueKind technique, Means means) throws IOException {
    Path image = directory.resolve("disk-" + means);
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(DISK_BYTES);
    }
    SwapFile swap = SwapFile.create(directory.resolve("swap-" + means), 2 * GUEST_BYTES);
    try (HostMemory host = HostMemory.create(HOST_BYTES);
        FileStorage disk = new FileStorage(image, false)) {
      host.enableReclaim(ReclaimOptions.none(HOST_BYTES).withSwap(swap))
          .enablePolicy(PolicyOptions.DEFAULT);
      List<VirtioSpec> devices = new ArrayList<>(List.of(new VirtioSpec.Disk(disk)));
      if (means != Means.NO_BALLOON) {
        devices.add(new VirtioSpec.Balloon(false, false));
      }
      PcConfiguration configuration =
          PcConfiguration.of(GUEST_BYTES, technique, ClockMode.VIRTUAL)
              .withJit(JitOptions.of(JitMode.REGIONS))
              .withDevices(devices);
      try (LinuxShell shell = new LinuxShell(host, configuration, "virtio_balloon", "virtio_blk")) {
        shell.execute("mkswap /dev/vda && swapon /dev/vda");
        manage(shell, means);
        SwapCounters before = swap.counters();
        work(shell);
        host.audit();
        assertThat(swap.counters().pagesIn() - before.pagesIn())
            .as("read back for the guest's disk, at least")
            .isGreaterThanOrEqualTo(shell.machine.memory().pagedTwice());
        return new Result(
            vmstat(shell, "pswpout"), swap.counters(), shell.machine.memory().pagedTwice());
      }
    }
  }

  private static void manage(LinuxShell shell, Means means) {
    PcMachine machine = shell.machine;
    VmTerms terms = VmTerms.of("guest", GUEST_BYTES / PAGE_BYTES);
    if (means == Means.BALLOON_FROM_THE_START) {
      long pages = terms.promisedPages() - LIMIT_PAGES;
      machine.memory().manage(terms.withLimitPages(LIMIT_PAGES));
      machine.balloon().orElseThrow().setTargetPages(pages);
      shell.runUntil(() -> machine.memory().balloon().balloonedPages() >= pages);
    } else {
      machine.memory().manage(terms);
    }
  }

  /** Writes more data than fits, and reads some of it again. */
  private static void work(LinuxShell shell) {
    shell.execute(
        "mkdir -p /w && mount -t tmpfs -o size=90% none /w; mount -o remount,size=200M /w");
    shell.execute("head -c " + FILE_BYTES + " /dev/urandom >/w/0; md5sum </w/0 >/sum");
    shell.execute("n=1; while [ $n -lt " + FILES + " ]; do cp /w/0 /w/$n; n=$((n+1)); done");
    for (int file : READ) {
      assertThat(shell.execute("md5sum </w/" + file + " | cmp - /sum && echo same"))
          .as("file %d", file)
          .contains("same");
    }
  }

  private static long vmstat(LinuxShell shell, String name) {
    String line = shell.execute("grep ^" + name + " /proc/vmstat");
    return Long.parseLong(line.replaceAll("[^0-9]", ""));
  }
}
