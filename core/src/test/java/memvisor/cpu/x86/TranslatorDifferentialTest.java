package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Translated code against interpreted code, in lock step: random programs with faults, interrupts,
 * device accesses and stores into their own code must be in the same state after every slice of
 * instructions, whatever its length.
 *
 * <p>{@code -Dmemvisor.programs=N} sets the number of programs, {@code -Dmemvisor.seed=N} repeats a
 * run; the seed of a failing program is in the message.
 */
class TranslatorDifferentialTest {
  private static final int PROGRAMS = Integer.getInteger("memvisor.programs", 400);
  private static final long SEED = Long.getLong("memvisor.seed", System.nanoTime());
  private static final int THRESHOLD = 2;
  private static final int BOUNDARIES = Integer.getInteger("memvisor.boundaries", 1500);

  @ParameterizedTest
  @EnumSource(
      value = JitMode.class,
      names = {"BLOCKS", "REGIONS"})
  void translatedProgramsDoWhatInterpretedOnesDo(JitMode mode) {
    System.out.printf("translator: seed=%d programs=%d%n", SEED, PROGRAMS);
    long translated = 0;
    for (int n = 0; n < PROGRAMS; n++) {
      translated += compare(mode, SEED + n);
    }
    assertThat(translated).as("instructions that ran translated").isGreaterThan(50L * PROGRAMS);
  }

  private static long compare(JitMode mode, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] program = new RandomProgram(random).make(2 + random.nextInt(40));
    // every other one in two pages
    long start = TestCpu.CODE + (random.nextBoolean() ? 0 : 4096 - random.nextInt(program.length));
    RandomRun interpreted = new RandomRun(program, seed, start);
    RandomRun translated = new RandomRun(program, seed, start);
    JitOptions options = JitOptions.of(mode).withThreshold(THRESHOLD).withHotThreshold(500);
    translated.t.c.setTranslator(new JitTranslator(options));
    int longest = 1 + random.nextInt(200);
    for (int slice = 0; slice < 4000 && !interpreted.t.c.halted; slice++) {
      int budget = 1 + random.nextInt(longest);
      RunExit exit = interpreted.t.c.run(budget);
      assertThat(translated.t.c.run(budget)).as("seed=%d slice=%d", seed, slice).isEqualTo(exit);
      boolean withFlags = random.nextInt(3) == 0 || interpreted.t.c.halted;
      assertThat(translated.state(withFlags))
          .as("seed=%d mode=%s slice=%d budget=%d", seed, mode, slice, budget)
          .isEqualTo(interpreted.state(withFlags));
      if (random.nextInt(10) == 0) {
        interpreted.interrupt();
        translated.interrupt();
      }
    }
    assertThat(translated.memory()).as("memory, seed=%d", seed).isEqualTo(interpreted.memory());
    return translated.t.c.translatedInstructions();
  }

  /**
   * One program over and over, each time stopped after one instruction more, where an interrupt
   * waits: it must be delivered there, and nothing else may change.
   */
  @ParameterizedTest
  @EnumSource(
      value = JitMode.class,
      names = {"BLOCKS", "REGIONS"})
  void anInterruptIsTakenAtEveryInstructionBoundary(JitMode mode) {
    System.out.printf("boundaries: seed=%d%n", SEED);
    SplittableRandom random = new SplittableRandom(SEED);
    byte[] program = new RandomProgram(random).make(12 + random.nextInt(12));
    RandomRun interpreted = new RandomRun(program, SEED);
    RandomRun translated = new RandomRun(program, SEED);
    JitOptions options = JitOptions.of(mode).withThreshold(THRESHOLD).withHotThreshold(100);
    translated.t.c.setTranslator(new JitTranslator(options));
    for (int boundary = 1; boundary <= BOUNDARIES; boundary++) {
      if (interpreted.t.c.halted) {
        interpreted.restart();
        translated.restart();
      }
      // far enough for the loop to be translated, and then to the boundary
      for (int budget : new int[] {boundary, boundary % 37 + 1}) {
        RunExit exit = interpreted.t.c.run(budget);
        assertThat(translated.t.c.run(budget))
            .as("seed=%d boundary=%d", SEED, boundary)
            .isEqualTo(exit);
        assertThat(translated.state(true))
            .as("seed=%d mode=%s boundary=%d", SEED, mode, boundary)
            .isEqualTo(interpreted.state(true));
        interpreted.interrupt();
        translated.interrupt();
      }
    }
    assertThat(translated.memory()).as("memory, seed=%d", SEED).isEqualTo(interpreted.memory());
  }
}
