package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Guests on a machine smaller than they are end as they do on one that is large enough. */
@Timeout(value = 20, unit = TimeUnit.MINUTES)
final class OvercommitTest {
  private static final long MIB = 1L << 20;

  @TempDir private Path directory;

  private HostMemory small(long hostBytes, long swapBytes) {
    HostMemory host = HostMemory.create(hostBytes);
    try {
      host.enableReclaim(
          ReclaimOptions.none(hostBytes)
              .withDedup(DedupOptions.ON)
              .withCompression(true)
              .withPoolPercent(25)
              .withSwap(SwapFile.create(directory.resolve("swap"), swapBytes)));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return host;
  }

  private static PcMachine machine(
      HostMemory host, long memoryBytes, TechniqueKind technique, ByteArrayOutputStream console) {
    return new PcMachine(
        PcConfiguration.of(memoryBytes, technique, ClockMode.VIRTUAL),
        host,
        console::write,
        b -> {});
  }

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW", "TRAP"})
  void twoGuestsThatTogetherDoNotFitComputeWhatEachWouldAlone(TechniqueKind technique)
      throws IOException {
    Workload[] workloads = {Workload.RANDOM_UPDATE, Workload.COPY_ON_WRITE};
    List<GuestState> alone = new ArrayList<>();
    List<BootRequest> requests = new ArrayList<>();
    for (Workload workload : workloads) {
      WorkloadParameters parameters = workload.defaults();
      requests.add(BootRequest.of(BuiltinGuest.image(workload, parameters)));
      try (HostMemory host = HostMemory.create(256 * MIB);
          PcMachine machine = machine(host, 64 * MIB, technique, new ByteArrayOutputStream())) {
        machine.boot(requests.getLast());
        assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
            .isEqualTo(new RunOutcome.DebugExit(0));
        alone.add(machine.state());
      }
    }
    try (HostMemory host = small(6 * MIB, 128 * MIB);
        PcMachine first = machine(host, 64 * MIB, technique, new ByteArrayOutputStream());
        PcMachine second = machine(host, 64 * MIB, technique, new ByteArrayOutputStream())) {
      assertThat(Files.list(directory)).as("nothing is left behind after a kill").isEmpty();
      List<PcMachine> machines = List.of(first, second);
      machines.forEach(machine -> machine.memory().joinTrustDomain("tests"));
      machines.forEach(machine -> machine.boot(requests.get(machines.indexOf(machine))));
      List<PcMachine> running = new ArrayList<>(machines);
      for (int round = 0; !running.isEmpty(); round++) {
        running.removeIf(
            machine -> !(machine.run(100_000, Long.MAX_VALUE) instanceof RunOutcome.LimitReached));
        if (round % 16 == 0) {
          host.audit();
        }
      }
      host.audit();
      assertThat(first.memory().failure()).isEmpty();
      assertThat(second.memory().failure()).isEmpty();
      assertThat(List.of(first.state(), second.state())).isEqualTo(alone);
      host.audit();
      assertThat(host.reclaim().orElseThrow().swap().orElseThrow().pagesOut()).isPositive();
      assertThat(first.memory().transitionCosts())
          .containsKeys(TransitionReason.COMPRESSED, TransitionReason.SWAPPED_IN);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW"})
  void linuxOnAMachineOfAThirdOfItsSizeEndsInTheSameState(TechniqueKind technique) {
    BootRequest request =
        LinuxGuest.running(
            "dd if=/dev/urandom of=/a bs=64k count=32 2>/dev/null; cat /a /a /a /a > /b; "
                + "for i in 1 2 3 4 5 6 7 8 9 10; do cat /bin/busybox /a > /c$i; done; "
                + "dd if=/dev/zero of=/d bs=64k count=400 2>/dev/null; "
                + "for i in 2 5 9; do cmp /c1 /c$i; done; md5sum /b /c7; rm /b; ls / | wc -l");
    ByteArrayOutputStream expectedConsole = new ByteArrayOutputStream();
    GuestState expected;
    try (HostMemory host = HostMemory.create(384 * MIB);
        PcMachine machine = machine(host, 192 * MIB, technique, expectedConsole)) {
      machine.boot(request);
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.PoweredOff());
      expected = machine.state();
    }
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (HostMemory host = small(72 * MIB, 256 * MIB);
        PcMachine machine = machine(host, 192 * MIB, technique, console)) {
      machine.boot(request);
      RunOutcome outcome = machine.run(50_000_000, Long.MAX_VALUE);
      while (outcome instanceof RunOutcome.LimitReached) {
        host.audit();
        outcome = machine.run(50_000_000, Long.MAX_VALUE);
      }
      report(technique, host, machine);
      assertThat(outcome).isEqualTo(new RunOutcome.PoweredOff());
      assertThat(console.toString(StandardCharsets.UTF_8))
          .isEqualTo(expectedConsole.toString(StandardCharsets.UTF_8));
      assertThat(machine.state()).isEqualTo(expected);
      host.audit();
    }
  }

  private static void report(TechniqueKind technique, HostMemory host, PcMachine machine) {
    HostReclaim reclaim = host.reclaim().orElseThrow();
    System.out.println(technique + ": " + host.ledger().totals());
    for (PageState state : PageState.values()) {
      System.out.println("  " + state + " " + machine.memory().pages(state));
    }
    machine
        .memory()
        .transitionCosts()
        .forEach((why, cost) -> System.out.println("  " + why + " " + cost));
    System.out.println("  " + reclaim.dedup());
    System.out.println("  " + reclaim.compression());
    System.out.println("  " + reclaim.swap());
    System.out.println("  working set " + machine.memory().workingSetPages());
    reclaim.decisions().stream()
        .skip(Math.max(0, reclaim.decisions().size() - 5))
        .forEach(d -> System.out.println("  " + d));
  }
}
