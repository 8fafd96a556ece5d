package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class StringOpsTest {
  private static final int REP = 0xF3;
  private static final int REPNE = 0xF2;
  private static final long SOURCE = TestCpu.DATA;
  private static final long TARGET = TestCpu.DATA + 0x8000;

  private static TestCpu cpu(long rsi, long rdi, long rcx, int... code) {
    TestCpu t = new TestCpu();
    t.bytes(code).write8(TestCpu.CODE + code.length, 0xF4);
    t.c.gpr[Vcpu.RSI] = rsi;
    t.c.gpr[Vcpu.RDI] = rdi;
    t.c.gpr[Vcpu.RCX] = rcx;
    return t;
  }

  private static void pattern(TestCpu t, long gpa, int bytes) {
    for (int n = 0; n < bytes; n++) {
      t.write8(gpa + n, n * 7 + 1);
    }
  }

  private static byte[] bytes(TestCpu t, long gpa, int count) {
    byte[] bytes = new byte[count];
    for (int n = 0; n < count; n++) {
      bytes[n] = (byte) t.read(gpa + n);
    }
    return bytes;
  }

  /**
   * @param from distance of the source from its page
   * @param to distance of the target from the source's page
   */
  record Move(String name, int from, int to, int count, int size, boolean backward) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Move> moves() {
    return Stream.of(
        new Move("within a page", 0, 0x8000, 100, 1, false),
        new Move("over several pages", 0x123, 0x8456, 12_000, 1, false),
        new Move("quadwords that cross pages", 0x7FD, 0x8FFB, 2000, 8, false),
        new Move("overlapping upwards by one byte: a fill", 0x10, 0x11, 9000, 1, false),
        new Move("overlapping upwards by less than an element", 0x10, 0x13, 600, 8, false),
        new Move("overlapping downwards", 0x11, 0x10, 9000, 1, false),
        new Move("backward within a page", 0x700, 0x8700, 100, 1, true),
        new Move("backward over several pages", 0x5123, 0xD456, 12_000, 1, true),
        new Move("backward quadwords that cross pages", 0x6FFD, 0xDFFB, 2000, 8, true),
        new Move("backward overlapping downwards: a fill", 0x5000, 0x4FFF, 5000, 1, true),
        new Move("backward overlapping upwards", 0x5000, 0x5001, 5000, 1, true));
  }

  @ParameterizedTest
  @MethodSource("moves")
  void repMovsCopiesElementByElement(Move m) {
    int opcode = m.size == 1 ? 0xA4 : 0xA5;
    int[] code = {REP, m.size == 8 ? 0x48 : 0x40, opcode};
    TestCpu t = cpu(SOURCE + m.from, SOURCE + m.to, m.count, code);
    pattern(t, SOURCE - 0x1000, 0x14000);
    byte[] expected = bytes(t, SOURCE - 0x1000, 0x14000);
    int stride = m.backward ? -m.size : m.size;
    for (int n = 0; n < m.count; n++) {
      int from = 0x1000 + m.from + n * stride;
      int to = 0x1000 + m.to + n * stride;
      byte[] element = new byte[m.size];
      System.arraycopy(expected, from, element, 0, m.size);
      System.arraycopy(element, 0, expected, to, m.size);
    }
    if (m.backward) {
      t.c.flags.system |= Flags.DF;
    }
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(bytes(t, SOURCE - 0x1000, 0x14000)).isEqualTo(expected);
    assertThat(t.c.gpr[Vcpu.RCX]).isZero();
    assertThat(t.c.gpr[Vcpu.RSI]).isEqualTo(SOURCE + m.from + (long) m.count * stride);
    assertThat(t.c.gpr[Vcpu.RDI]).isEqualTo(SOURCE + m.to + (long) m.count * stride);
  }

  @Test
  void aFaultInTheMiddleLeavesTheRegistersAtTheElementAndTheRestCanBeRestarted() {
    TestCpu t = cpu(SOURCE, TARGET, 0x3000, REP, 0xA4);
    pattern(t, SOURCE, 0x3000);
    t.map(TARGET + 0x2000, 0, 0);
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
    assertThat(t.c.cr2).isEqualTo(TARGET + 0x2000);
    assertThat(t.c.gpr[Vcpu.RCX]).isEqualTo(0x1000);
    assertThat(t.c.gpr[Vcpu.RSI]).isEqualTo(SOURCE + 0x2000);
    assertThat(t.read(t.c.gpr[Vcpu.RSP] + 8)).as("RIP").isEqualTo(TestCpu.CODE);
    t.map(TARGET + 0x2000, TARGET + 0x2000, 7);
    t.c.rip = TestCpu.CODE;
    t.c.halted = false;
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(bytes(t, TARGET, 0x3000)).isEqualTo(bytes(t, SOURCE, 0x3000));
  }

  @Test
  void aRepetitionStopsForTheBudgetBetweenPages() {
    TestCpu t = cpu(SOURCE, TARGET, 0x3000, REP, 0xA4);
    assertThat(t.c.run(1)).isEqualTo(RunExit.BUDGET);
    assertThat(t.c.gpr[Vcpu.RCX]).isEqualTo(0x2000);
    assertThat(t.c.rip).isEqualTo(TestCpu.CODE);
    assertThat(t.c.run(2)).isEqualTo(RunExit.BUDGET);
    assertThat(t.c.rip).isEqualTo(TestCpu.CODE + 2);
  }

  @Test
  void aCountOfZeroTouchesNothing() {
    TestCpu t = cpu(0, 0, 0, REP, 0xA4);
    t.map(0, 0, 0);
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.vector()).isEqualTo(-1);
  }

  @Test
  void repStosFillsWithEveryWidth() {
    for (int[] code :
        new int[][] {{REP, 0xAA}, {REP, 0x66, 0xAB}, {REP, 0xAB}, {REP, 0x48, 0xAB}}) {
      TestCpu t = cpu(0, TARGET + 3, 1500, code);
      t.c.gpr[Vcpu.RAX] = 0x8877_6655_4433_2211L;
      t.run();
      int size = code[1] == 0xAA ? 1 : code[1] == 0x66 ? 2 : code[1] == 0xAB ? 4 : 8;
      byte[] filled = bytes(t, TARGET, 3 + 1500 * size + 1);
      for (int n = 0; n < 1500 * size; n++) {
        assertThat(filled[n + 3]).isEqualTo((byte) (0x11 * (n % size + 1)));
      }
      assertThat(filled[2]).isZero();
      assertThat(filled[3 + 1500 * size]).isZero();
    }
  }

  @Test
  void scasFindsAByteAndStopsBehindIt() {
    TestCpu t = cpu(0, TARGET, -1, REPNE, 0xAE);
    t.write8(TARGET + 5000, 0x5A);
    t.c.gpr[Vcpu.RAX] = 0x5A;
    t.run();
    assertThat(t.c.gpr[Vcpu.RDI]).isEqualTo(TARGET + 5001);
    assertThat(t.c.gpr[Vcpu.RCX]).isEqualTo(-1 - 5001);
    assertThat(t.c.flags.zf()).isTrue();
  }

  @Test
  void cmpsStopsAtTheFirstDifference() {
    TestCpu t = cpu(SOURCE, TARGET, 6000, REP, 0xA6);
    t.write8(SOURCE + 4999, 1);
    t.write8(TARGET + 4999, 2);
    t.run();
    assertThat(t.c.gpr[Vcpu.RSI]).isEqualTo(SOURCE + 5000);
    assertThat(t.c.gpr[Vcpu.RCX]).isEqualTo(1000);
    assertThat(t.c.flags.cf()).isTrue();
  }

  @Test
  void a32BitCountIgnoresTheUpperHalf() {
    TestCpu t = cpu(SOURCE, TARGET, 0x7_0000_0004L, 0x67, REP, 0xA4);
    t.run();
    assertThat(t.c.gpr[Vcpu.RCX]).isZero();
    assertThat(t.c.gpr[Vcpu.RSI]).isEqualTo(SOURCE + 4);
  }
}
