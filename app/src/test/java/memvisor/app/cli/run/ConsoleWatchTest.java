package memvisor.app.cli.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class ConsoleWatchTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final AtomicInteger panics = new AtomicInteger();
  private final ConsoleWatch watch = new ConsoleWatch(out, panics::incrementAndGet);

  private void print(String text) {
    for (byte value : text.getBytes(StandardCharsets.UTF_8)) {
      watch.accept(value & 0xFF);
    }
  }

  @Test
  void everyByteIsPassedOn() {
    print("one\r\ntwo é $ ");
    watch.flush();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("one\r\ntwo é $ ");
    assertThat(watch.panic()).isEmpty();
  }

  @Test
  void aPanicIsRememberedAndEndsTheRunOnceAllIsSaid() {
    print("[ 1.0] Kernel panic - not syncing: No working init found.\r\n[ 1.0] CPU: 0\r\n");
    assertThat(panics).hasValue(0);
    print("[ 1.1] ---[ end Kernel panic - not syncing: No working init found. ]---\r\n");
    assertThat(panics).hasValue(1);
    assertThat(watch.panic()).hasValue("Kernel panic - not syncing: No working init found.");
  }
}
