package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ClassLoadingMXBean;
import java.lang.management.ManagementFactory;
import memvisor.cpu.jit.CodeListing;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;

class TranslatorBoundsTest {
  private static final int GENERATIONS = 3000;
  private static final int CALLS = 20;
  private static final int MOV_EAX_IMM32 = 0xB8;
  private static final int RET = 0xC3;

  /** Writes {@code MOV EAX, n; RET} at {@code target}, calls it some times, and so on for n. */
  private static TestCpu generator(long target, long stride) {
    TestCpu t = new TestCpu();
    return t.program(
        a -> {
          a.mov(Register.RBX, target);
          a.mov(Register.ECX, GENERATIONS);
          Label next = a.labelHere();
          a.mov(Register.RDX, (long) RET << 40 | MOV_EAX_IMM32);
          a.mov(Register.RSI, Register.RCX);
          a.shl(Register.RSI, 8);
          a.or(Register.RDX, Register.RSI);
          a.mov(memvisor.cpu.x86.asm.Memory.at(Register.RBX).qword(), Register.RDX);
          a.mov(Register.EDI, CALLS);
          Label again = a.labelHere();
          a.call(Register.RBX);
          a.add(Register.R8, Register.RAX);
          a.dec(Register.EDI);
          a.j(Condition.NE, again);
          a.add(Register.RBX, (int) stride);
          a.dec(Register.ECX);
          a.j(Condition.NE, next);
        });
  }

  private static final long SUM = (long) CALLS * GENERATIONS * (GENERATIONS + 1) / 2;

  @Test
  void codeThatIsOverwrittenForEverIsUnloaded() {
    ClassLoadingMXBean classes = ManagementFactory.getClassLoadingMXBean();
    int before = classes.getLoadedClassCount();
    TestCpu t = generator(TestCpu.DATA, 0);
    JitTranslator translator = new JitTranslator(JitOptions.of(JitMode.BLOCKS).withThreshold(2));
    t.c.setTranslator(translator);
    assertThat(t.c.run(10_000_000)).isEqualTo(RunExit.HALTED);
    assertThat(t.c.gpr[8]).isEqualTo(SUM);
    JitCounters counters = translator.counters();
    assertThat(counters.blocks()).isGreaterThan(GENERATIONS);
    assertThat(counters.retranslations()).isGreaterThan(GENERATIONS - 100);
    System.gc();
    assertThat(classes.getLoadedClassCount() - before).isLessThan(GENERATIONS / 2);
  }

  @Test
  void moreCodeThanAllowedEvictsTheOldest() {
    long allowed = 100_000;
    TestCpu t = generator(TestCpu.DATA, 64);
    JitTranslator translator =
        new JitTranslator(JitOptions.of(JitMode.BLOCKS).withThreshold(2).withMaxCodeBytes(allowed));
    t.c.setTranslator(translator);
    assertThat(t.c.run(10_000_000)).isEqualTo(RunExit.HALTED);
    assertThat(t.c.gpr[8]).isEqualTo(SUM);
    assertThat(translator.counters().liveCodeBytes()).isLessThanOrEqualTo(allowed);
    assertThat(translator.counters().evictions()).isGreaterThan(GENERATIONS / 2);
  }

  @Test
  void aListingShowsInstructionsFormsAndBytecode() {
    TestCpu t = generator(TestCpu.DATA, 0);
    t.c.setTranslator(new JitTranslator(JitOptions.of(JitMode.BLOCKS).withThreshold(2)));
    t.c.run(1000);
    HotCode code = t.c.codeAt(TestCpu.DATA).orElseThrow();
    String listing = CodeListing.of(code, TestCpu.DATA);
    assertThat(listing)
        .contains("block 0 at 0x%x".formatted(TestCpu.DATA))
        .containsPattern("0x200000 +b8[0-9a-f]{8} +Move32 +Move\\[")
        .containsPattern("0x200005 +c3 +Return +Return\\[")
        .contains("load64")
        .contains("IRETURN");
    assertThat(t.c.codeAt(0x7000_0000)).isEmpty();
  }
}
