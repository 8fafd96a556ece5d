package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.device.virtio.FileStorage;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

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

  @Test
  void theDiskDriverReadsAndWritesAnImage(@TempDir Path directory) throws Exception {
    byte[] contents = new byte[1 << 20];
    new SplittableRandom(2).nextBytes(contents);
    Path image = Files.write(directory.resolve("disk"), contents);
    Path other = Files.write(directory.resolve("other"), contents);
    BootRequest request =
        LinuxGuest.running(
            "sha256sum /dev/vda; cat /sys/block/vdb/ro;"
                + " echo written by the guest | dd of=/dev/vda bs=512 seek=3 conv=notrunc,fsync;"
                + " dd if=/dev/vda bs=512 skip=3 count=1 | head -n 1; dd if=/dev/zero of=/dev/vdb");
    try (FileStorage disk = new FileStorage(image, false);
        FileStorage readOnly = new FileStorage(other, true)) {
      String console =
          run(
              GuestModules.with(request, "virtio_blk"),
              new VirtioSpec.Disk(disk),
              new VirtioSpec.Disk(readOnly));
      byte[] sum = MessageDigest.getInstance("SHA-256").digest(contents);
      assertThat(console)
          .contains(HexFormat.of().formatHex(sum) + "  /dev/vda\r\n1\r\n")
          .contains("\nwritten by the guest\r");
    }
    assertThat(Files.readAllBytes(other)).isEqualTo(contents);
    byte[] text = "written by the guest\n".getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(text, 0, contents, 3 * 512, text.length);
    byte[] after = Files.readAllBytes(image);
    assertThat(Arrays.copyOf(after, 3 * 512 + text.length))
        .isEqualTo(Arrays.copyOf(contents, 3 * 512 + text.length));
    assertThat(Arrays.copyOfRange(after, 4 * 512, after.length))
        .isEqualTo(Arrays.copyOfRange(contents, 4 * 512, contents.length));
  }

  @Test
  void theConsoleDriverGivesTheGuestASecondConsole() {
    StringBuilder second = new StringBuilder();
    BootRequest request =
        LinuxGuest.running("echo hello from hvc0 > /dev/hvc0; ls /sys/class/tty/hvc0/dev; sleep 1");
    String console =
        run(
            GuestModules.with(request, "virtio_console"),
            new VirtioSpec.Console(value -> second.append((char) value)));
    assertThat(console).contains("exit status 0");
    assertThat(second).contains("hello from hvc0");
  }
}
