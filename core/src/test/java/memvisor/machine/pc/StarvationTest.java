package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A guest that finds no frame in the middle of an instruction goes on when there is one. */
@Timeout(120)
final class StarvationTest {
  private static final long MIB = 1L << 20;

  @TempDir private Path directory = Path.of("");

  /** A machine that takes nothing back before its last frame is gone. */
  private HostMemory lastMinute(long hostBytes, boolean swap) throws IOException {
    HostMemory host = HostMemory.create(hostBytes);
    Optional<SwapFile> file =
        swap
            ? Optional.of(SwapFile.create(directory.resolve("swap"), 128 * MIB))
            : Optional.empty();
    host.enableReclaim(new ReclaimOptions(DedupOptions.OFF, false, true, 25, file, 1, 16));
    return host;
  }

  private static WorkloadParameters parameters(Workload workload) {
    return workload == Workload.COPY_ON_WRITE
        ? new WorkloadParameters(512, 3, 1)
        : new WorkloadParameters(1024, 10_000, 1);
  }

  private static PcMachine machine(HostMemory host, TechniqueKind technique, Workload workload) {
    PcMachine machine =
        new PcMachine(
            PcConfiguration.of(64 * MIB, technique, ClockMode.VIRTUAL), host, b -> {}, b -> {});
    machine.boot(BootRequest.of(BuiltinGuest.image(workload, parameters(workload))));
    return machine;
  }

  @ParameterizedTest
  @CsvSource({
    "NESTED, RANDOM_UPDATE",
    "NESTED, COPY_ON_WRITE",
    "SHADOW, RANDOM_UPDATE",
    "SHADOW, COPY_ON_WRITE",
    "TRAP, COPY_ON_WRITE"
  })
  void itEndsAsOneThatNeverStarved(TechniqueKind technique, Workload workload) throws IOException {
    GuestState expected;
    try (HostMemory host = HostMemory.create(256 * MIB);
        PcMachine machine = machine(host, technique, workload)) {
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.DebugExit(0));
      expected = machine.state();
    }
    try (HostMemory host = lastMinute(3 * MIB, true);
        PcMachine machine = machine(host, technique, workload)) {
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.DebugExit(0));
      assertThat(machine.memory().failure()).isEmpty();
      assertThat(host.reclaim().orElseThrow().swap().orElseThrow().pagesOut()).isPositive();
      assertThat(machine.state()).isEqualTo(expected);
      host.audit();
    }
  }

  @Test
  void aloneWithNothingToGiveItDiesAtOnceAndSaysWhy() throws IOException {
    try (HostMemory host = lastMinute(3 * MIB, false);
        PcMachine machine = machine(host, TechniqueKind.NESTED, Workload.RANDOM_UPDATE)) {
      RunOutcome outcome = machine.run(Long.MAX_VALUE, Long.MAX_VALUE);
      assertThat(outcome).isInstanceOf(RunOutcome.Died.class);
      assertThat(((RunOutcome.Died) outcome).reason()).contains("machine memory is exhausted");
      assertThat(machine.times().starved()).as("nobody could have helped").isZero();
      host.audit();
    }
  }
}
