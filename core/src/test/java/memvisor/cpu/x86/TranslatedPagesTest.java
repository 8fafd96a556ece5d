package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Comparator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.memory.Hva;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Translations that go on in other pages, and what happens to those pages. */
class TranslatedPagesTest {
  private static final long FUNCTION = TestCpu.CODE + 0x1000;
  private static final long OTHER = TestCpu.CODE + 0x5000;
  private static final int ROUNDS = 4000;

  private final TestCpu t = new TestCpu();

  /** A loop that calls a function in another page, which calls one in a third. */
  @BeforeEach
  void loop() {
    JitOptions options = JitOptions.of(JitMode.REGIONS).withThreshold(5).withHotThreshold(200);
    t.c.setTranslator(new JitTranslator(options));
    Assembler a = new Assembler(TestCpu.CODE);
    Label again = a.label();
    Label function = a.label();
    Label inner = a.label();
    a.mov(RCX, ROUNDS);
    a.bind(again);
    a.call(function);
    a.dec(RCX);
    a.j(Condition.NE, again);
    a.hlt();
    a.org(FUNCTION);
    a.bind(function);
    a.add(RAX, 1);
    a.call(inner);
    a.ret();
    a.org(FUNCTION + 0x1000);
    a.bind(inner);
    a.add(RAX, 1 << 20);
    a.ret();
    t.write(TestCpu.CODE, a.assemble());
  }

  private void start() {
    t.c.rip = TestCpu.CODE;
    t.c.halted = false;
    t.c.gpr[Vcpu.RAX] = 0;
    t.c.updateAttention();
  }

  private long finish() {
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    return t.rax();
  }

  private long run() {
    start();
    return finish();
  }

  private static long adding(long inFunction, long inInner) {
    return ROUNDS * (inFunction + (inInner << 20));
  }

  /** The translation of the loop's code that has most blocks. */
  private HotCode widest() {
    return LongStream.range(TestCpu.CODE, TestCpu.CODE + 32)
        .mapToObj(gpa -> t.c.codeAt(t.baseHpa + gpa).orElseThrow())
        .filter(code -> code.translation().isPresent())
        .max(Comparator.comparingInt(HotCode::blocks))
        .orElseThrow();
  }

  /** {@code ADD RAX, n; RET} */
  private static byte[] function(int n) {
    Assembler a = new Assembler(0);
    a.add(RAX, n);
    a.ret();
    return a.assemble();
  }

  @Test
  void aLoopIsOneTranslationWithWhatItCalls() {
    assertThat(run()).isEqualTo(adding(1, 1));
    HotCode loop = widest();
    assertThat(IntStream.range(0, loop.blocks()).map(b -> loop.page(loop.start(b))).distinct())
        .containsExactlyInAnyOrder(0, 1, 2);
    CompiledCode translation = loop.translation().orElseThrow();
    long runs = translation.runs();
    assertThat(run()).isEqualTo(adding(1, 1));
    assertThat(translation.runs() - runs).as("entered from outside").isBetween(1L, 20L);
  }

  @Test
  void aStoreToAnotherPageOfItIsSeen() {
    run();
    t.write(FUNCTION, function(5));
    assertThat(run()).isEqualTo(adding(5, 0));
  }

  @Test
  void aPageThatIsMappedElsewhereIsLeft() {
    run();
    t.write(OTHER, function(7));
    t.map(FUNCTION, OTHER, 7);
    assertThat(run()).isEqualTo(adding(7, 0));
    t.map(FUNCTION, FUNCTION, 7);
    assertThat(run()).isEqualTo(adding(1, 1));
  }

  @Test
  void aPageThatIsMappedElsewhereInTheMiddleOfTheLoopIsLeft() {
    run();
    start();
    t.c.run(1 + 8 * 100); // after a hundred rounds
    t.write(OTHER, function(7));
    t.map(FUNCTION, OTHER, 7);
    assertThat(finish()).isEqualTo(100 * (1 + (1 << 20)) + (ROUNDS - 100) * 7L);
  }

  @Test
  void aPageThatIsNoLongerMappedFaults() {
    run();
    t.map(FUNCTION, 0, 0);
    start();
    t.run();
    assertThat(t.vector()).isEqualTo(14);
    assertThat(t.c.cr2).isEqualTo(FUNCTION);
  }

  @Test
  void theSameCodeInAnotherFrameIsExecutedThere() {
    run();
    byte[] copy = new byte[32];
    Hva.read(t.machine.memory().hva(t.baseHpa + FUNCTION), copy, 0, copy.length);
    t.write(OTHER, copy);
    t.map(FUNCTION, OTHER, 7);
    assertThat(run()).isEqualTo(adding(1, 1));
    t.write(OTHER, function(9));
    assertThat(run()).isEqualTo(adding(9, 0));
  }

  @Test
  void itStopsAtEveryInstruction() {
    run();
    TestCpu other = new TestCpu();
    byte[] code = new byte[0x3000];
    Hva.read(t.machine.memory().hva(t.baseHpa + TestCpu.CODE), code, 0, code.length);
    other.write(TestCpu.CODE, code);
    start();
    for (int n = 0; n < 2000; n++) {
      other.c.run(1 + n % 29);
      t.c.run(1 + n % 29);
      assertThat(t.c.rip).as("n=%d", n).isEqualTo(other.c.rip);
      assertThat(t.rax()).isEqualTo(other.rax());
    }
  }
}
