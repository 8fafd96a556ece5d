package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The console's way into the monitor and out of the run. */
@Timeout(60)
final class ConsoleKeysTest {
  private static byte[] keys(String text) {
    return text.replace('^', '\u0001').getBytes(StandardCharsets.US_ASCII);
  }

  @Test
  void theEscapeOpensThePromptAndLeavesIt() throws Exception {
    StringBuilder terminal = new StringBuilder();
    try (MonitoredMachine vm = new MonitoredMachine(TechniqueKind.PARTITION)) {
      ConsoleKeys console = new ConsoleKeys(vm.machine, terminal::append);
      console.typed(keys("for the guest"));
      assertThat(terminal).isEmpty();
      console.typed(keys("^c"));
      assertThat(terminal.toString()).endsWith("\r\n(memvisor) ");
      terminal.setLength(0);
      console.typed(keys("info stat"));
      console.typed(keys("us\r"));
      assertThat(terminal).hasToString("info status\r\nVM status: running\r\n(memvisor) ");
      terminal.setLength(0);
      console.typed(keys("^h"));
      assertThat(terminal.toString()).contains("Ctrl-A x").endsWith("(memvisor) ");
      console.typed(keys("^c"));
      terminal.setLength(0);
      console.typed(keys("for the guest again"));
      assertThat(terminal).isEmpty();
      console.typed(keys("^x"));
      assertThat(vm.run.get(10, TimeUnit.SECONDS)).isInstanceOf(RunOutcome.Stopped.class);
    }
  }
}
