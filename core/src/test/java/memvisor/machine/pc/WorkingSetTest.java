package memvisor.machine.pc;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.host.HostMemory;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What a guest is believed to use, against a guest that is known to use just that. */
final class WorkingSetTest {
  private static final long MIB = 1L << 20;
  private static final long MEMORY_BYTES = 32 * MIB;

  /** Where the guest looks up how far to go, and counts its rounds. */
  private static final long END = 0x20_0000;

  private static final long ROUNDS = 0x20_0004;
  private static final long FIRST = 8 * MIB;
  private static final int PAGE = 4096;

  /** How often the working set is sampled, and how long an access counts. */
  private static final long SAMPLE_NANOS = 2_000_000_000L;

  private static final int WINDOW_SAMPLES = 5;

  /** Code, variables, ACPI tables: what the guest uses besides. */
  private static final long BESIDES = 8;

  /** Goes round over the pages from FIRST to what END says, and adds one to each. */
  private static final byte[] ROUND_AND_ROUND =
      TinyGuest.of(
          a -> {
            Label round = a.label();
            Label page = a.label();
            a.bind(round);
            a.mov(EAX, (int) FIRST);
            a.mov(ECX, Memory.absolute(END));
            a.bind(page);
            a.inc(Memory.at(EAX).dword());
            a.add(EAX, PAGE);
            a.cmp(EAX, ECX);
            a.j(Condition.B, page);
            a.inc(Memory.absolute(ROUNDS).dword());
            a.jmp(round);
          });

  @TempDir private Path directory;

  /** A technique, and whether its tables are AMD's. */
  record Tables(TechniqueKind technique, boolean npt) {}

  static Stream<Tables> tables() {
    return Stream.of(
        new Tables(TechniqueKind.NESTED, false),
        new Tables(TechniqueKind.NESTED, true),
        new Tables(TechniqueKind.SHADOW, false));
  }

  private static PcMachine machine(HostMemory host, Tables tables, int pages) {
    PcMachine machine =
        new PcMachine(
            PcConfiguration.of(MEMORY_BYTES, tables.technique, ClockMode.VIRTUAL)
                .withNested(false, tables.npt),
            host,
            b -> {},
            b -> {});
    machine.boot(BootRequest.of(ROUND_AND_ROUND));
    use(machine, pages);
    return machine;
  }

  private static void use(PcMachine machine, int pages) {
    machine.memory().writeValue(END, 4, FIRST + (long) pages * PAGE);
  }

  /** Lets the guest go round a few times, then samples as if two seconds had passed. */
  private static long sample(PcMachine machine, int sample) {
    machine.run(100_000, Long.MAX_VALUE);
    // Samples are at least so far apart on the host's clock, whatever the VM's says.
    LockSupport.parkNanos(60_000_000);
    return machine.atBoundary(
        () -> {
          machine.memory().housekeep((sample + 1) * SAMPLE_NANOS);
          return machine.memory().workingSetPages();
        });
  }

  @ParameterizedTest
  @MethodSource("tables")
  void theEstimateIsWhatTheGuestUsesAndFollowsItWithinTheWindow(Tables tables) {
    try (HostMemory host = HostMemory.create(64 * MIB)) {
      host.enableReclaim(ReclaimOptions.none(64 * MIB)).enablePolicy(PolicyOptions.DEFAULT);
      try (PcMachine machine = machine(host, tables, 3000)) {
        int sample = 0;
        while (sample <= WINDOW_SAMPLES) {
          sample(machine, sample++);
        }
        assertThat(sample(machine, sample++)).isBetween(3000L, 3000 + BESIDES);
        use(machine, 700);
        assertThat(sample(machine, sample++)).as("at once").isGreaterThanOrEqualTo(3000);
        for (int i = 0; i < WINDOW_SAMPLES; i++) {
          sample(machine, sample++);
        }
        assertThat(sample(machine, sample++)).isBetween(700L, 700 + BESIDES);
        use(machine, 2000);
        assertThat(sample(machine, sample++)).as("growth").isBetween(2000L, 2000 + BESIDES);
        host.audit();
      }
    }
  }

  @Test
  void aTechniqueThatCannotTellSaysSo() {
    try (HostMemory host = HostMemory.create(64 * MIB)) {
      host.enableReclaim(ReclaimOptions.none(64 * MIB)).enablePolicy(PolicyOptions.DEFAULT);
      try (PcMachine machine = machine(host, new Tables(TechniqueKind.TRAP, false), 100)) {
        for (int i = 0; i < 4; i++) {
          assertThat(sample(machine, i)).as("unknown").isZero();
        }
      }
    }
  }

  /** A working set of three times the machine, on every technique: slow, but it gets on. */
  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW", "TRAP"})
  void aGuestThatThrashesStillMakesProgress(TechniqueKind technique) throws IOException {
    int pages = 3000;
    try (HostMemory host = HostMemory.create(4 * MIB)) {
      host.enableReclaim(
          ReclaimOptions.none(4 * MIB)
              .withCompression(true)
              .withPoolPercent(10)
              .withSwap(SwapFile.create(directory.resolve("swap"), 64 * MIB)));
      try (PcMachine machine = machine(host, new Tables(technique, false), pages)) {
        long instructions = 0;
        while (machine.memory().readValue(ROUNDS, 4) < 4) {
          assertThat(instructions).as("instructions for four rounds").isLessThan(200_000);
          machine.run(2_000, Long.MAX_VALUE);
          instructions += 2_000;
        }
        assertThat(machine.memory().failure()).isEmpty();
        long rounds = machine.memory().readValue(ROUNDS, 4);
        for (long i = 0; i < pages; i++) {
          assertThat(machine.memory().readValue(FIRST + i * PAGE, 4))
              .as("page %d", i)
              .isBetween(rounds, rounds + 1);
        }
        // Each access brings a page back at most once: none is taken while it is being used.
        long accesses = (rounds + 1) * pages;
        long back =
            count(machine, TransitionReason.SWAPPED_IN)
                + count(machine, TransitionReason.DECOMPRESSED);
        assertThat(back).isBetween(pages * (rounds - 1), accesses + accesses / 10);
        host.audit();
      }
    }
  }

  private static long count(PcMachine machine, TransitionReason reason) {
    return machine
        .memory()
        .transitionCosts()
        .getOrDefault(reason, new TransitionCost(0, 0))
        .count();
  }
}
