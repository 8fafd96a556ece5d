package memvisor.app.cli.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.xen.XenConfiguration;
import memvisor.machine.xen.XenMachine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Debian's stock kernel as a paravirtual domain. */
@Timeout(value = 20, unit = TimeUnit.MINUTES)
final class LinuxDomainTest {
  /** Switches on what takes minutes; bench/nightly sets it. */
  private static final String LONG = "memvisor.domains.long";

  private static final long MEMORY_BYTES = 192L << 20;

  /** Fork and exec, pipes, files, shared libraries' mappings, and memory written and freed. */
  private static final String WORK =
      "read line; echo got-$line; uname -r; echo hello | sha256sum; for i in 1 2 3 4; do ls / | wc -l; done;"
          + " dd if=/dev/zero of=/tmp.bin bs=64k count=16; sha256sum /tmp.bin; rm /tmp.bin;"
          + " ls /tmp.bin || echo gone";

  private static final String SHA256_OF_HELLO =
      "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

  /** What one run left behind. */
  private record End(RunOutcome outcome, String console) {}

  private static Path guest() {
    Path directory =
        Optional.ofNullable(System.getenv("MEMVISOR_GUEST_DIR"))
            .map(Path::of)
            .orElseGet(() -> Path.of(System.getProperty("user.home"), ".cache/memvisor/guest"));
    boolean present =
        Files.isReadable(directory.resolve("vmlinuz"))
            && Files.isReadable(directory.resolve("initrd"));
    if (!present) {
      System.err.println("SKIPPED: no Linux guest in " + directory);
    }
    assumeTrue(present, "no Linux guest: run ./memvisor guest fetch");
    return directory;
  }

  private static End run(String command, JitMode jit) throws IOException {
    Path directory = guest();
    BootRequest request =
        KernelPayload.unpacked(
            BootRequest.of(Files.readAllBytes(directory.resolve("vmlinuz")))
                .withInitrd(Files.readAllBytes(directory.resolve("initrd")))
                .withCommandLine("console=hvc0 panic=1 memvisor.run=\"" + command + "\""));
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES)) {
      long free = host.freeBytes();
      RunOutcome outcome;
      try (XenMachine machine =
          new XenMachine(
              XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL).withJit(JitOptions.of(jit)),
              host,
              console::write)) {
        machine.boot(request);
        machine.sendSerial("forty-two\n".getBytes(StandardCharsets.US_ASCII));
        outcome = machine.run(Long.MAX_VALUE, Long.MAX_VALUE);
        machine.technique().types().audit();
        host.audit();
      }
      assertThat(host.freeBytes()).as("every frame came back").isEqualTo(free);
      return new End(outcome, console.toString(StandardCharsets.UTF_8));
    }
  }

  @Test
  void linuxReadsItsConsoleWorksAndPowersOff() throws IOException {
    works(JitMode.REGIONS);
  }

  @ParameterizedTest
  @EnumSource(
      value = JitMode.class,
      names = {"OFF", "BLOCKS"})
  @EnabledIfSystemProperty(named = LONG, matches = "true")
  void linuxWorksHoweverItIsExecuted(JitMode jit) throws IOException {
    works(jit);
  }

  private static void works(JitMode jit) throws IOException {
    End end = run(WORK, jit);
    assertThat(end.outcome()).as(end.console()).isEqualTo(new RunOutcome.PoweredOff());
    assertThat(end.console())
        .contains("Hypervisor detected: Xen PV")
        .contains("got-forty-two")
        .contains(SHA256_OF_HELLO)
        .contains("gone")
        .doesNotContain("Call Trace")
        .doesNotContain("Kernel panic");
  }

  @Test
  @EnabledIfSystemProperty(named = LONG, matches = "true")
  void linuxReboots() throws IOException {
    End end = run("reboot -f", JitMode.REGIONS);
    assertThat(end.outcome()).as(end.console()).isEqualTo(new RunOutcome.Reset());
  }
}
