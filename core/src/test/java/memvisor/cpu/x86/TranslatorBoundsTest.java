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
    HotCode code = t.c.codeAt(t.baseHpa + TestCpu.DATA).orElseThrow();
    String listing = CodeListing.of(code, TestCpu.DATA);
    assertThat(listing)
        .startsWith("translated: 1 block of one page, a class of ")
        .contains("block 0 at 0x%x".formatted(TestCpu.DATA))
        .containsPattern("0x0+200000 +b8[0-9a-f]{8} +mov eax, 0x[0-9a-f]+ +Move32")
        .containsPattern("0x0+200005 +c3 +ret +Return")
        .contains("invokestatic CompiledCode.load64")
        .contains("ireturn");
  }

  @Test
  void aListingOfAnAddressInsideABlockShowsThatBlock() {
    TestCpu t =
        new TestCpu()
            .program(
                a -> {
                  a.mov(Register.RAX, Register.RBX);
                  a.inc(Register.RAX);
                });
    t.run();
    HotCode code = t.c.codeAt(t.baseHpa + TestCpu.CODE + 3).orElseThrow();
    assertThat(code.hpa()).isEqualTo(t.baseHpa + TestCpu.CODE);
    assertThat(CodeListing.of(code, TestCpu.CODE))
        .startsWith("executed 1 times, by interpretation")
        .contains("mov rax, rbx")
        .contains("inc rax");
  }

  /** Against what objdump prints, operand order and RIP-relative addresses included. */
  @Test
  void instructionsThatDidNotRunAreListedAsAnAssemblerHasThem() {
    TestCpu t = new TestCpu();
    long at = TestCpu.DATA;
    t.write(
        at,
        new byte[] {
          0x48,
          0x03,
          0x43,
          0x08, // add rax, [rbx+8]
          (byte) 0x8B,
          0x05,
          0x10,
          0,
          0,
          0, // mov eax, [rip+0x10]
          0x41,
          (byte) 0x89,
          0x44,
          (byte) 0x8B,
          (byte) 0xFC, // mov [r11+rcx*4-4], eax
          0x65,
          0x48,
          (byte) 0x8B,
          0x04,
          0x25,
          0x28,
          0,
          0,
          0, // mov rax, gs:[0x28]
          0x0F,
          (byte) 0xB6,
          (byte) 0xC9, // movzx ecx, cl
          0x75,
          (byte) 0xF0 // jne
        });
    HotCode code = t.c.codeAt(t.baseHpa + at).orElseThrow();
    assertThat(CodeListing.of(code, at))
        .startsWith("not executed yet")
        .contains("add rax, qword [rbx+0x8]")
        .contains("mov eax, dword [0x20001a]")
        .contains("mov dword [r11+rcx*4-0x4], eax")
        .contains("mov rax, qword gs:[0x28]")
        .contains("movzx ecx, cl")
        .contains("jne 0x20000d");
    assertThat(t.c.code.blocks()).as("asking changes nothing").isZero();
  }
}
