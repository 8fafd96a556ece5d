package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.TimeUnit;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux' own balloon driver gives memory to the machine and takes it back. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
final class LinuxBalloonTest {
  private static final long MEMORY_BYTES = 256L << 20;
  private static final long PAGE_BYTES = 4096;
  private static final long BALLOON_BYTES = 64L << 20;
  private static final String REPORTING_ORDER =
      "/sys/module/page_reporting/parameters/page_reporting_order";

  /** Linux waits for two seconds; the rest is for its own work. */
  private static final long REPORTED_NANOS = 3_000_000_000L;

  private static LinuxShell boot(
      HostMemory host, TechniqueKind technique, VirtioSpec.Balloon balloon) {
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL)
            .withDevices(List.of(balloon));
    return new LinuxShell(host, configuration, "virtio_balloon");
  }

  private static PcBalloon balloon(LinuxShell shell) {
    return shell.machine.balloon().orElseThrow();
  }

  private static void resize(LinuxShell shell, long bytes) {
    long pages = bytes / PAGE_BYTES;
    balloon(shell).setTargetPages(pages);
    shell.runUntil(() -> balloon(shell).state().actualPages() == pages);
  }

  @ParameterizedTest
  @EnumSource(
      value = TechniqueKind.class,
      names = {"NESTED", "SHADOW"})
  void memoryGoesToTheMachineAndComesBackWhileTheGuestWorks(TechniqueKind technique) {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        LinuxShell shell = boot(host, technique, new VirtioSpec.Balloon(false, false))) {
      // Nearly all guest memory gets frames, so that the balloon takes pages that have some.
      shell.execute("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; rm /big");
      shell.execute("dd if=/dev/urandom of=/data bs=64k count=4 2>/dev/null");
      shell.execute("sha256sum /data > /sums; while sha256sum -cs /sums; do :; done & true");
      long totalKib = shell.meminfoKib("MemTotal");
      long freeBytes = host.freeBytes();

      long start = System.nanoTime();
      resize(shell, BALLOON_BYTES);
      long nanos = System.nanoTime() - start;
      System.out.printf(
          "%s: inflated by %d MiB in %d ms%n", technique, BALLOON_BYTES >> 20, nanos / 1_000_000);
      assertThat(shell.machine.memory().balloon().balloonedPages())
          .isEqualTo(BALLOON_BYTES / PAGE_BYTES);
      assertThat(host.freeBytes() - freeBytes).isGreaterThan(BALLOON_BYTES * 9 / 10);
      assertThat(totalKib - shell.meminfoKib("MemTotal")).isEqualTo(BALLOON_BYTES >> 10);
      host.audit();

      resize(shell, 0);
      assertThat(shell.machine.memory().balloon().balloonedPages()).isZero();
      assertThat(shell.meminfoKib("MemTotal")).isEqualTo(totalKib);
      shell.execute("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; rm /big");
      assertThat(shell.execute("jobs")).as("the checksum loop").contains("Running");
      assertThat(shell.execute("sha256sum -c /sums")).contains("/data: OK");
      assertThat(balloon(shell).state().counters().ignored()).isZero();
      host.audit();
    }
  }

  @Test
  void theDriverReportsItsMemory() {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        LinuxShell shell = boot(host, TechniqueKind.NESTED, new VirtioSpec.Balloon(true, true))) {
      PcBalloon balloon = balloon(shell);
      shell.runUntil(() -> balloon.state().statistics().sequence() > 0);
      long before = balloon.state().statistics().sequence();
      shell.execute("dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null");
      long free = shell.meminfoKib("MemFree") << 10;
      balloon.requestStatistics();
      shell.runUntil(() -> balloon.state().statistics().sequence() > before);
      assertThat(balloon.state().statistics().totalBytes().orElseThrow())
          .isEqualTo(shell.meminfoKib("MemTotal") << 10);
      assertThat(balloon.state().statistics().freeBytes().orElseThrow() - free)
          .isBetween(-(4L << 20), 4L << 20);
    }
  }

  /**
   * Linux reports what is free in whole blocks of 2^9 pages two seconds after the first became so,
   * and smaller blocks if it is told to. What is the host's is measured by the guest's own MemFree.
   */
  @Test
  void whatTheGuestFreesIsTheHostsTwoSecondsLater() {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        LinuxShell shell = boot(host, TechniqueKind.NESTED, new VirtioSpec.Balloon(true, true))) {
      assertThat(shell.execute("cat " + REPORTING_ORDER).strip()).endsWith("9");
      assertThat(percentBackInTime(host, shell)).isGreaterThan(65);
      shell.execute("echo 5 > " + REPORTING_ORDER);
      assertThat(percentBackInTime(host, shell)).isGreaterThan(90);
      assertThat(balloon(shell).state().counters().reported()).isPositive();
      host.audit();
    }
  }

  private static long percentBackInTime(HostMemory host, LinuxShell shell) {
    shell.execute("dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; sleep 5");
    long hostBefore = host.freeBytes();
    long guestBefore = shell.meminfoKib("MemFree") << 10;
    shell.execute("rm /big");
    long reported = shell.machine.clock().nanos() + REPORTED_NANOS;
    long freed = (shell.meminfoKib("MemFree") << 10) - guestBefore;
    assertThat(freed).isGreaterThan(60L << 20);
    shell.runUntil(() -> shell.machine.clock().nanos() > reported);
    return (host.freeBytes() - hostBefore) * 100 / freed;
  }

  @Test
  void aGuestThatRunsOutOfMemoryTakesPagesBack() {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        LinuxShell shell = boot(host, TechniqueKind.NESTED, new VirtioSpec.Balloon(true, false))) {
      long freeBytes = shell.meminfoKib("MemFree") << 10;
      resize(shell, freeBytes - (24L << 20));
      String output = shell.execute("dd if=/dev/zero of=/dev/null bs=48M count=1 && echo survived");
      assertThat(output).contains("survived");
      assertThat(balloon(shell).state().counters().deflated()).isPositive();
      host.audit();
    }
  }

  @Test
  void aPartitionHasNoBalloonAndSaysWhy() {
    assertThatThrownBy(
            () ->
                PcConfiguration.of(MEMORY_BYTES, TechniqueKind.PARTITION, ClockMode.VIRTUAL)
                    .withDevices(List.of(new VirtioSpec.Balloon(true, true))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("under partition");
  }
}
