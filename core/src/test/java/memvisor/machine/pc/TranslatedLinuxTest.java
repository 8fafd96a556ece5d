package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
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

  private record Run(GuestState state, String console, long translations) {}

  private static Run run(TechniqueKind technique, JitMode mode, BootRequest request) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(mode).withThreshold(500).withHotThreshold(100_000));
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        PcMachine machine = new PcMachine(configuration, host, console::write, b -> {})) {
      machine.boot(request);
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.PoweredOff());
      long translations = machine.translations().blocks() + machine.translations().regions();
      return new Run(machine.state(), console.toString(StandardCharsets.UTF_8), translations);
    }
  }

  @Test
  void everyModeAndTechniqueEndsInTheSameState() {
    BootRequest request = LinuxGuest.running("uname -r; echo hello | sha256sum");
    Run interpreted = run(TechniqueKind.NESTED, JitMode.OFF, request);
    assertThat(interpreted.translations()).isZero();
    for (TechniqueKind technique :
        new TechniqueKind[] {TechniqueKind.NESTED, TechniqueKind.SHADOW}) {
      Run translated = run(technique, JitMode.REGIONS, request);
      assertThat(translated.translations()).isGreaterThan(2000);
      assertThat(translated.console()).isEqualTo(interpreted.console());
      assertThat(translated.state()).as("under " + technique).isEqualTo(interpreted.state());
    }
  }
}
