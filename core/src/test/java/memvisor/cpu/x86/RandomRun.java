package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.IntUnaryOperator;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.memory.Hva;

/**
 * A processor with a random program, random registers and data, and a source of interrupts: two of
 * the same program and seed must do the same.
 */
final class RandomRun {
  private static final int VECTOR = 0x40;
  private static final long COUNTER = TestCpu.DATA - 8;

  final Lines monitor = new Lines();
  final TestCpu t = new TestCpu(monitor);
  private final long start;

  RandomRun(byte[] program, long seed) {
    this(program, seed, TestCpu.CODE);
  }

  /** The program lies at {@code start}. */
  RandomRun(byte[] program, long seed, long start) {
    this.start = start;
    monitor.cpu = t.c;
    t.write(start, program);
    t.c.rip = start;
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
    for (int i = 0; i < 32; i++) {
      t.c.xmm[i] = random.nextLong() >> random.nextInt(64);
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

  /** Starts the program again, with memory and registers as it left them. */
  void restart() {
    t.c.rip = start;
    t.c.halted = false;
    t.c.gpr[Vcpu.RSP] = TestCpu.STACK;
    t.c.gpr[Vcpu.RBX] = TestCpu.DATA;
    t.c.updateAttention();
  }

  void interrupt() {
    monitor.pendingVector = VECTOR;
    t.c.setInterruptLine(true);
  }

  String state(boolean withFlags) {
    Vcpu c = t.c;
    return "rip=%x instructions=%d halted=%b flags=%x gpr=%s xmm=%x mxcsr=%x exits=%s"
        .formatted(
            c.rip,
            c.instructions(),
            c.halted,
            withFlags ? c.flags.value() : 0,
            Arrays.toString(Arrays.copyOf(c.gpr, 16)),
            Arrays.hashCode(c.xmm),
            c.fpu.mxcsr,
            monitor.exits);
  }

  byte[] memory() {
    byte[] bytes = new byte[(int) TestCpu.MEMORY_BYTES];
    Hva.read(t.machine.memory().hva(t.baseHpa), bytes, 0, bytes.length);
    return bytes;
  }

  /**
   * Runs the same program interpreted and translated until it halts: both must be in the same state
   * after every slice.
   *
   * @param slices that are enough to halt
   * @param length instructions of the slice of a number
   */
  static void compare(
      RandomRun interpreted,
      RandomRun translated,
      JitOptions options,
      int slices,
      IntUnaryOperator length) {
    translated.t.c.setTranslator(new JitTranslator(options));
    for (int n = 0; n < slices && !interpreted.t.c.halted; n++) {
      int budget = length.applyAsInt(n);
      interpreted.t.c.run(budget);
      translated.t.c.run(budget);
      assertThat(translated.state(true))
          .as("%s slice=%d budget=%d", options.mode(), n, budget)
          .isEqualTo(interpreted.state(true));
    }
    assertThat(interpreted.t.c.halted).isTrue();
    assertThat(translated.memory()).as("memory").isEqualTo(interpreted.memory());
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
}
