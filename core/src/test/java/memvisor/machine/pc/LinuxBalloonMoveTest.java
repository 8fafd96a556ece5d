package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.TimeUnit;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What balloons are for: memory goes from one running Linux guest to another. */
@Timeout(value = 15, unit = TimeUnit.MINUTES)
final class LinuxBalloonMoveTest {
  private static final long MIB = 1L << 20;
  private static final long PAGES_PER_MIB = 256;
  private static final long STEP = 1_000_000;

  private static LinuxShell boot(HostMemory host) {
    PcConfiguration configuration =
        PcConfiguration.of(256 * MIB, TechniqueKind.NESTED, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(JitMode.REGIONS))
            .withDevices(List.of(new VirtioSpec.Balloon(false, false)));
    return new LinuxShell(host, configuration, "virtio_balloon");
  }

  private static PcBalloon balloon(LinuxShell shell) {
    return shell.machine.balloon().orElseThrow();
  }

  /** Brings a balloon to that many MiB, and waits. */
  private static void resize(LinuxShell shell, long mebibytes) {
    long pages = mebibytes * PAGES_PER_MIB;
    balloon(shell).setTargetPages(pages);
    shell.runUntil(() -> balloon(shell).state().balloonedPages() == pages);
  }

  @Test
  void memoryMovesFromOneGuestToAnotherWhileBothRun() {
    // Less than both believe to have, and nothing but balloons to make up for it.
    try (HostMemory host = HostMemory.create(400 * MIB);
        LinuxShell giver = boot(host);
        LinuxShell taker = boot(host)) {
      for (LinuxShell shell : List.of(giver, taker)) {
        shell.execute("head -c 300000 /dev/urandom >/data; sha256sum /data >/sums");
        shell.execute("while sha256sum -cs /sums; do :; done & true");
      }
      resize(taker, 128);
      giver.meanwhile = () -> taker.machine.run(STEP, Long.MAX_VALUE);
      taker.meanwhile = () -> giver.machine.run(STEP, Long.MAX_VALUE);
      // Gives frames to nearly all that the giver has: what it hands over was in use.
      giver.execute("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; rm /big");
      giver.execute("dd if=/dev/zero of=/dev/null bs=80M count=1 2>/dev/null");
      assertThat(taker.meminfoKib("MemFree")).isLessThan(100 << 10);
      long free = host.freeBytes();

      long start = giver.machine.clock().nanos();
      resize(giver, 128);
      long taken = giver.machine.clock().nanos();
      assertThat(host.freeBytes() - free).as("was in use").isGreaterThan(64 * MIB);
      resize(taker, 0);
      long given = giver.machine.clock().nanos();
      System.out.printf(
          "128 MiB moved: taken after %d ms of the giver's clock, given after %d%n",
          (taken - start) / 1_000_000, (given - start) / 1_000_000);

      String big = taker.execute("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; wc -c /big");
      assertThat(big).contains("104857600 /big");
      for (LinuxShell shell : List.of(giver, taker)) {
        assertThat(shell.execute("jobs")).as("the checksum loop").contains("Running");
        assertThat(shell.execute("sha256sum -c /sums")).contains("/data: OK");
      }
      host.audit();
    }
  }
}
