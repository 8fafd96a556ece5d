package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Debian's kernel interpreted and translated in lock step: all registers and flags the same after
 * every slice of instructions, and pages picked at random now and then.
 *
 * <p>{@code -Dmemvisor.lockStepFrom=N} and {@code -Dmemvisor.lockStepFor=N} say where to begin and
 * how far to go, in instructions; {@code bench/nightly} goes all the way. The seed of a failure is
 * in its message; {@code -Dmemvisor.seed=N} repeats it.
 */
@Timeout(value = 4, unit = TimeUnit.HOURS)
final class LockStepTest {
  private static final long MEMORY_BYTES = 192L << 20;
  private static final long FROM = Long.getLong("memvisor.lockStepFrom", 120_000_000);
  private static final long FOR = Long.getLong("memvisor.lockStepFor", 12_000_000);
  private static final long SEED = Long.getLong("memvisor.seed", System.nanoTime());

  /** Most slices are long enough for translations to run on, some end anywhere in a block. */
  private static final int LONG_SLICE = 20_000;

  private static final int SHORT_SLICE = 100;
  private static final int SLICES_PER_SAMPLE = 200;
  private static final int SAMPLED_PAGES = 64;
  private static final int PAGE = 4096;

  /** Below a megabyte there are holes. */
  private static final long FIRST_PAGE = (1 << 20) / PAGE;

  private final SplittableRandom random = new SplittableRandom(SEED);
  private final byte[] interpretedPage = new byte[PAGE];
  private final byte[] translatedPage = new byte[PAGE];

  private static PcMachine machine(HostMemory host, TechniqueKind technique, JitMode mode) {
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(mode).withThreshold(100).withHotThreshold(20_000));
    return new PcMachine(configuration, host, b -> {}, b -> {});
  }

  /** One pair, which has both; all where the whole boot was asked for. */
  static Stream<Arguments> pairs() {
    Stream<Arguments> sample = Stream.of(arguments(TechniqueKind.SHADOW, JitMode.REGIONS));
    Stream<Arguments> rest =
        Stream.of(
            arguments(TechniqueKind.NESTED, JitMode.BLOCKS),
            arguments(TechniqueKind.NESTED, JitMode.REGIONS));
    return FROM == 0 ? Stream.concat(sample, rest) : sample;
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void afterEverySliceBothAreInTheSameState(TechniqueKind technique, JitMode mode) {
    System.out.printf("lock step: %s, %s, seed=%d%n", technique, mode, SEED);
    BootRequest request = LinuxGuest.running("uname -r; echo hello | sha256sum");
    try (HostMemory host = HostMemory.create(4 * MEMORY_BYTES);
        PcMachine interpreted = machine(host, technique, JitMode.OFF);
        PcMachine translated = machine(host, technique, mode)) {
      interpreted.boot(request);
      translated.boot(request);
      RunOutcome outcome = interpreted.run(FROM, Long.MAX_VALUE);
      assertThat(translated.run(FROM, Long.MAX_VALUE)).isEqualTo(outcome);
      long end = FROM + FOR < 0 ? Long.MAX_VALUE : FROM + FOR;
      for (int n = 1; isGoingOn(outcome) && interpreted.instructions() < end; n++) {
        int slice = 1 + random.nextInt(random.nextInt(8) == 0 ? SHORT_SLICE : LONG_SLICE);
        outcome = interpreted.run(slice, Long.MAX_VALUE);
        assertThat(translated.run(slice, Long.MAX_VALUE)).as("seed=%d", SEED).isEqualTo(outcome);
        compare(interpreted, translated);
        if (n % SLICES_PER_SAMPLE == 0) {
          sample(interpreted, translated);
        }
      }
      assertThat(translated.state()).as("seed=%d", SEED).isEqualTo(interpreted.state());
      assertThat(translated.translations().liveCodeBytes()).isPositive();
      System.out.printf(
          "lock step: %,d instructions, %s%n",
          translated.instructions(), translated.translations());
    }
  }

  private static boolean isGoingOn(RunOutcome outcome) {
    return outcome instanceof RunOutcome.LimitReached;
  }

  private static void compare(PcMachine interpreted, PcMachine translated) {
    boolean same =
        interpreted.instructions() == translated.instructions()
            && interpreted.registers().hash() == translated.registers().hash();
    if (!same) {
      assertThat(translated.registers().describe())
          .as("seed=%d after %,d instructions", SEED, interpreted.instructions())
          .isEqualTo(interpreted.registers().describe());
    }
    assertThat(same).as("seed=%d after %,d", SEED, interpreted.instructions()).isTrue();
  }

  private void sample(PcMachine interpreted, PcMachine translated) {
    for (int n = 0; n < SAMPLED_PAGES; n++) {
      long gpa = random.nextLong(FIRST_PAGE, MEMORY_BYTES / PAGE) * PAGE;
      interpreted.memory().read(gpa, interpretedPage, 0, PAGE);
      translated.memory().read(gpa, translatedPage, 0, PAGE);
      assertThat(translatedPage)
          .as("seed=%d page 0x%x after %,d", SEED, gpa, interpreted.instructions())
          .isEqualTo(interpretedPage);
    }
  }
}
