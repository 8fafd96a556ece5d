package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.device.ByteSink;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Debian's kernel translated is Debian's kernel interpreted, to the last instruction and byte. */
@Timeout(value = 20, unit = TimeUnit.MINUTES)
final class TranslatedLinuxTest {
  private static final long MEMORY_BYTES = 192L << 20;

  private record Run(GuestState state, String console, long made, long found) {}

  private static PcMachine machine(
      HostMemory host, TechniqueKind technique, JitMode mode, ByteSink console) {
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(mode).withThreshold(500).withHotThreshold(100_000));
    PcMachine machine = new PcMachine(configuration, host, console, b -> {});
    machine.memory().joinTrustDomain("tests");
    return machine;
  }

  private static Run run(HostMemory host, TechniqueKind technique, JitMode mode) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (PcMachine machine = machine(host, technique, mode, console::write)) {
      machine.boot(LinuxGuest.running("uname -r; echo hello | sha256sum"));
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.PoweredOff());
      JitCounters made = machine.translations();
      return new Run(
          machine.state(),
          console.toString(StandardCharsets.UTF_8),
          made.blocks() + made.regions(),
          made.adoptions());
    }
  }

  /** The two translated guests run at the same time and run each other's translations. */
  @Test
  void everyModeAndTechniqueEndsInTheSameState() throws Exception {
    LinuxGuest.directory();
    try (HostMemory host = HostMemory.create(4 * MEMORY_BYTES);
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<Run> nested = threads.submit(() -> run(host, TechniqueKind.NESTED, JitMode.REGIONS));
      Future<Run> shadow = threads.submit(() -> run(host, TechniqueKind.SHADOW, JitMode.REGIONS));
      long made = nested.get().made() + shadow.get().made();
      long found = nested.get().found() + shadow.get().found();
      assertThat(made).as("translations made by both").isGreaterThan(1000);
      assertThat(found).as("translations found by one or the other").isGreaterThan(500);
      Run interpreted = run(host, TechniqueKind.NESTED, JitMode.OFF);
      assertThat(interpreted.made() + interpreted.found()).isZero();
      for (Run translated : List.of(nested.get(), shadow.get())) {
        assertThat(translated.console()).isEqualTo(interpreted.console());
        assertThat(translated.state()).isEqualTo(interpreted.state());
      }
    }
  }
}
