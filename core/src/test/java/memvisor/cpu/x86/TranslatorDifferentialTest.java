package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.memory.Hva;
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
  private static final int VECTOR = 0x40;
  private static final long COUNTER = TestCpu.DATA - 8;

  /** One of the two processors. */
  private static final class Side {
    final Lines monitor = new Lines();
    final TestCpu t = new TestCpu(monitor);

    Side(byte[] program, long seed) {
      monitor.cpu = t.c;
      t.write(TestCpu.CODE, program);
      t.map(TestCpu.DATA + 4096, 0, 0);
      t.map(TestCpu.DATA + 8192, 0, 0);
      SplittableRandom random = new SplittableRandom(seed);
      for (int i = 0; i < 16; i++) {
        if (i != Vcpu.RSP) {
          t.c.gpr[i] = random.nextLong() >> random.nextInt(64);
        }
      }
      for (int i = 0; i < 4096; i += 8) {
        t.write(TestCpu.DATA + i, random.nextLong());
      }
      t.c.gpr[Vcpu.RBX] = TestCpu.DATA;
      // the interrupt's handler: INC QWORD [COUNTER]; IRETQ
      long handler = TestCpu.HANDLERS + 16 * VECTOR;
      byte[] text = {0x48, (byte) 0xFF, 4, 0x25, 0, 0, 0, 0, 0x48, (byte) 0xCF};
      for (int i = 0; i < 4; i++) {
        text[4 + i] = (byte) (COUNTER >> 8 * i);
      }
      t.write(handler, text);
    }

    void interrupt() {
      monitor.pendingVector = VECTOR;
      t.c.setInterruptLine(true);
    }

    String state(boolean withFlags) {
      Vcpu c = t.c;
      return "rip=%x instructions=%d halted=%b flags=%x gpr=%s exits=%s"
          .formatted(
              c.rip,
              c.instructions(),
              c.halted,
              withFlags ? c.flags.value() : 0,
              Arrays.toString(Arrays.copyOf(c.gpr, 16)),
              monitor.exits);
    }

    byte[] memory() {
      byte[] bytes = new byte[(int) TestCpu.MEMORY_BYTES];
      Hva.read(t.machine.memory().hva(t.baseHpa), bytes, 0, bytes.length);
      return bytes;
    }
  }

  /** Raises the interrupt line when the guest writes to a port with bit 0 set. */
  private static final class Lines extends TestMonitor {
    Vcpu cpu;

    @Override
    public void portWrite(int port, int sizeBytes, int value) {
      super.portWrite(port, sizeBytes, value);
      if ((value & 1) != 0) {
        pendingVector = VECTOR;
        cpu.setInterruptLine(true);
      }
    }

    @Override
    public int acknowledgeInterrupt() {
      cpu.setInterruptLine(false);
      return super.acknowledgeInterrupt();
    }
  }

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
    Side interpreted = new Side(program, seed);
    Side translated = new Side(program, seed);
    JitOptions options = JitOptions.of(mode).withThreshold(THRESHOLD).withRegionThreshold(32);
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
}
