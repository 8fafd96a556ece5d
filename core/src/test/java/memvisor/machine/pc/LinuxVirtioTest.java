package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The drivers of Debian's stock kernel against our virtio devices. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
final class LinuxVirtioTest {
  private static final long MEMORY_BYTES = 192L << 20;

  private static String run(BootRequest request, VirtioSpec... devices) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, TechniqueKind.NESTED, ClockMode.VIRTUAL)
            .withDevices(List.of(devices));
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        PcMachine machine = new PcMachine(configuration, host, console::write, b -> {})) {
      machine.boot(request);
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .as(() -> console.toString(StandardCharsets.UTF_8))
          .isEqualTo(new RunOutcome.PoweredOff());
      host.audit();
    }
    return console.toString(StandardCharsets.UTF_8);
  }

  @Test
  void theEntropyDriverReadsRandomNumbers() {
    BootRequest request =
        LinuxGuest.running(
            "cat /sys/bus/virtio/devices/*/device; cat /sys/class/misc/hw_random/rng_current;"
                + " dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c");
    String console = run(GuestModules.with(request, "virtio-rng"), new VirtioSpec.Entropy());
    assertThat(console).contains("0x0004").contains("virtio_rng.0").contains("256\r\n");
  }
}
