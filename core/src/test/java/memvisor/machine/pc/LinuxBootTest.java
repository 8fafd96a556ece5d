package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.ExitReason;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Debian's stock kernel on the software machine, under every technique. */
@Timeout(value = 20, unit = TimeUnit.MINUTES)
final class LinuxBootTest {
  private static final long MEMORY_BYTES = 192L << 20;

  /** Fork and exec, pipes, files, and memory that is written, copied and freed. */
  private static final String WORK =
      "uname -r; echo hello | sha256sum; for i in 1 2 3 4; do ls / | wc -l; done;"
          + " dd if=/dev/zero of=/tmp.bin bs=64k count=16; sha256sum /tmp.bin; rm /tmp.bin";

  private static final String SHA256_OF_HELLO =
      "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

  /** What one run left behind. */
  record Run(RunOutcome outcome, GuestState state, String console) {}

  private static Run run(TechniqueKind technique, BootRequest request, long instructionsPerMove) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        PcMachine machine =
            new PcMachine(
                PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL),
                host,
                console::write,
                b -> {})) {
      machine.boot(request);
      RunOutcome outcome =
          instructionsPerMove == 0
              ? machine.run(Long.MAX_VALUE, Long.MAX_VALUE)
              : runWhileMoving(machine, instructionsPerMove);
      host.audit();
      return new Run(outcome, machine.state(), console.toString(StandardCharsets.UTF_8));
    }
  }

  private static RunOutcome runWhileMoving(PcMachine machine, long instructionsPerMove) {
    long seed = 7;
    System.out.println("page moves: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    long moves = 0;
    RunOutcome outcome = machine.run(instructionsPerMove, Long.MAX_VALUE);
    while (outcome instanceof RunOutcome.LimitReached) {
      long gfn = random.nextLong(machine.memory().map().end() >>> 12);
      if (machine.memory().map().find(gfn << 12).isPresent() && machine.memory().movePage(gfn)) {
        moves++;
      }
      outcome = machine.run(instructionsPerMove, Long.MAX_VALUE);
    }
    assertThat(moves).as("pages moved under the running guest").isGreaterThan(1_000);
    return outcome;
  }

  @Test
  void everyTechniqueGivesTheSameGuestToTheLastBit() {
    BootRequest request = LinuxGuest.running(WORK);
    Map<TechniqueKind, Run> runs = new EnumMap<>(TechniqueKind.class);
    for (TechniqueKind technique : TechniqueKind.transparent()) {
      runs.put(technique, run(technique, request, 0));
    }
    Run nested = runs.get(TechniqueKind.NESTED);
    assertThat(nested.outcome()).isEqualTo(new RunOutcome.PoweredOff());
    assertThat(nested.console())
        .contains(SHA256_OF_HELLO)
        .contains("memvisor: exit status 0")
        .contains("reboot: Power down");
    runs.forEach(
        (technique, run) -> {
          assertThat(run.console()).as("console under " + technique).isEqualTo(nested.console());
          assertThat(run.state()).as("state under " + technique).isEqualTo(nested.state());
        });
  }

  @Test
  void pagesThatMoveUnderneathAreInvisibleToTheGuest() {
    BootRequest request = LinuxGuest.running(WORK);
    Run still = run(TechniqueKind.NESTED, request, 0);
    for (TechniqueKind technique :
        new TechniqueKind[] {TechniqueKind.NESTED, TechniqueKind.SHADOW}) {
      Run moved = run(technique, request, 50_000);
      assertThat(moved.outcome()).isEqualTo(new RunOutcome.PoweredOff());
      assertThat(moved.state()).as("state under " + technique).isEqualTo(still.state());
    }
  }

  @Test
  void aShellAnswersOnTheSerialConsole() {
    BootRequest request = LinuxGuest.running("true");
    String prompt = request.commandLine().substring(0, request.commandLine().indexOf(" memvisor"));
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        PcMachine machine =
            new PcMachine(
                PcConfiguration.of(MEMORY_BYTES, TechniqueKind.NESTED, ClockMode.VIRTUAL),
                host,
                console::write,
                b -> {})) {
      machine.boot(request.withCommandLine(prompt));
      for (int i = 0; i < 200 && !console.toString(StandardCharsets.UTF_8).contains("# "); i++) {
        assertThat(machine.run(20_000_000, Long.MAX_VALUE))
            .isEqualTo(new RunOutcome.LimitReached());
      }
      machine.sendSerial("echo $((6 * 7)); exit\n".getBytes(StandardCharsets.US_ASCII));
      assertThat(machine.run(2_000_000_000L, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.PoweredOff());
      assertThat(console.toString(StandardCharsets.UTF_8)).contains("\n42\r\n");
      assertThat(machine.exits().count(ExitReason.EXTERNAL_INTERRUPT)).isPositive();
    }
  }
}
