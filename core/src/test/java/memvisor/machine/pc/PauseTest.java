package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Pausing, inspecting and resuming a machine that another thread runs. */
@Timeout(60)
final class PauseTest {
  private static final long MEMORY_BYTES = 64L << 20;
  private static final WorkloadParameters LONG_RUN = new WorkloadParameters(64, 100_000_000, 1);

  @ParameterizedTest
  @EnumSource(ClockMode.class)
  void aPausedMachineStandsStillAndGoesOnWhereItWas(ClockMode clock) throws Exception {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES)) {
      PcMachine machine =
          new PcMachine(
              PcConfiguration.of(MEMORY_BYTES, TechniqueKind.PARTITION, clock),
              host,
              b -> {},
              b -> {});
      machine.boot(BootRequest.of(BuiltinGuest.image(Workload.RANDOM_UPDATE, LONG_RUN)));
      CompletableFuture<RunOutcome> run = new CompletableFuture<>();
      Thread.ofPlatform()
          .daemon()
          .start(() -> run.complete(machine.run(Long.MAX_VALUE, Long.MAX_VALUE)));
      while (machine.atBoundary(machine::instructions) == 0) {
        Thread.onSpinWait();
      }
      machine.pause();
      long instructions = machine.atBoundary(machine::instructions);
      long nanos = machine.atBoundary(() -> machine.clock().nanos());
      Thread.sleep(20);
      assertThat(machine.isPaused()).isTrue();
      assertThat(machine.atBoundary(machine::instructions)).isEqualTo(instructions);
      assertThat(machine.atBoundary(() -> machine.clock().nanos())).isEqualTo(nanos);
      machine.resume();
      while (machine.atBoundary(machine::instructions) == instructions && !run.isDone()) {
        Thread.onSpinWait();
      }
      assertThat(machine.atBoundary(machine::instructions)).isGreaterThan(instructions);
      machine.stop();
      assertThat(run.get(10, TimeUnit.SECONDS)).isInstanceOf(RunOutcome.class);
      machine.close();
    }
  }
}
