package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.CL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.Consumer;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Calls from one translation to another, and every way not to come back to where they were made:
 * against interpretation, in slices of every length, with interrupts.
 */
class TranslatedCallsTest {
  private static final int ROUNDS = 40;
  private static final int LONGEST_SLICE = 30;

  /** An instruction that a callee overwrites or exchanges: MOV EAX, imm32. */
  private static final int MOV_EAX = 0xB8;

  /** What a loop in one page calls in others. */
  private enum Callee {
    RETURNS(
        a -> {
          a.add(RAX, 3);
          a.ret();
        }),
    CALLS_ANOTHER_PAGE(
        a -> {
          Label inner = a.label();
          a.call(inner);
          a.add(RAX, 3);
          a.ret();
          a.align(4096);
          a.bind(inner);
          a.add(RAX, 5);
          a.ret();
        }),
    RECURSES_DEEPLY(
        a -> {
          Label even = a.label();
          Label odd = a.label();
          Label evenEnd = a.label();
          Label oddEnd = a.label();
          a.mov(RSI, 150);
          a.bind(even);
          a.dec(RSI);
          a.j(Condition.E, evenEnd);
          a.call(odd);
          a.add(RAX, 3);
          a.bind(evenEnd);
          a.ret();
          a.align(4096);
          a.bind(odd);
          a.dec(RSI);
          a.j(Condition.E, oddEnd);
          a.call(even);
          a.add(RAX, RSI);
          a.bind(oddEnd);
          a.ret();
        }),
    RETURNS_ELSEWHERE(
        a -> {
          a.test(RCX, 1);
          Label even = a.label();
          a.j(Condition.E, even);
          a.add(Memory.at(RSP, 0).qword(), 5); // past what follows the call
          a.bind(even);
          a.ret();
        }),
    DROPS_ITS_CALLER(
        a -> {
          Label inner = a.label();
          a.call(inner);
          a.add(RAX, 1000);
          a.ret();
          a.align(4096);
          a.bind(inner);
          a.pop(RDX);
          a.ret();
        }),
    CHANGES_STACKS(
        a -> {
          a.pop(RDX);
          a.xor(RSP, 0x8000);
          a.push(RDX);
          a.ret();
        }),
    RELEASES_ARGUMENTS(
        a -> {
          a.pop(RDX);
          a.push(RCX);
          a.push(RCX);
          a.push(RDX);
          a.add(RAX, Memory.at(RSP, 8));
          a.ret(16);
        }),
    OVERWRITES_ITS_CALLER(
        a -> {
          a.mov(Memory.at(RBX, 1).byteWide(), CL);
          a.ret();
        }),
    MOVES_ITS_CALLER(
        a -> {
          long entry = TestCpu.PT + 8 * (TestCpu.CODE >>> 12);
          a.mov(RDX, entry);
          a.xor(Memory.at(RDX, 0).qword(), 0x10000); // a copy that computes something else
          a.invlpg(Memory.at(RBX, 0));
          a.ret();
        }),
    FAULTS_AT_LAST(
        a -> {
          a.mov(RDX, TestCpu.DATA + 4096 + 16);
          a.sub(RDX, RCX);
          a.sub(RDX, RCX);
          a.add(RAX, Memory.at(RDX, 0));
          a.ret();
        });

    private final Consumer<Assembler> text;

    Callee(Consumer<Assembler> text) {
      this.text = text;
    }
  }

  @ParameterizedTest
  @EnumSource(Callee.class)
  void aCalleeDoesWhatItDoesWhenInterpreted(Callee callee) {
    long translated = 0;
    for (int slice = 1; slice <= LONGEST_SLICE; slice++) {
      translated += compare(callee, slice);
    }
    assertThat(translated).isGreaterThan(LONGEST_SLICE * ROUNDS);
  }

  private static long compare(Callee callee, int slice) {
    byte[] program = program(callee);
    RandomRun interpreted = run(program, slice);
    RandomRun translated = run(program, slice);
    JitOptions options = JitOptions.of(JitMode.REGIONS).withThreshold(2).withHotThreshold(500);
    translated.t.c.setTranslator(new JitTranslator(options));
    for (int n = 0; n < 1000 * ROUNDS && !interpreted.t.c.halted; n++) {
      interpreted.t.c.run(slice);
      translated.t.c.run(slice);
      assertThat(translated.state(true))
          .as("%s slice=%d n=%d", callee, slice, n)
          .isEqualTo(interpreted.state(true));
      if (n % 7 == 6) {
        interpreted.interrupt();
        translated.interrupt();
      }
    }
    assertThat(interpreted.t.c.halted).isTrue();
    assertThat(translated.memory()).isEqualTo(interpreted.memory());
    return translated.t.c.translatedInstructions();
  }

  private static RandomRun run(byte[] program, int seed) {
    RandomRun run = new RandomRun(program, seed);
    byte[] changed = program.clone();
    for (int i = 0; i < 4096; i++) {
      if ((changed[i] & 0xFF) == MOV_EAX) {
        changed[i + 1] ^= 0x55;
        break;
      }
    }
    run.t.write(TestCpu.CODE ^ 0x10000, changed);
    return run;
  }

  /** A loop in a page of its own, that the callee finds at RBX from where its call returns to. */
  private static byte[] program(Callee callee) {
    Assembler a = new Assembler(TestCpu.CODE);
    Label again = a.label();
    Label returned = a.label();
    Label called = a.label();
    a.mov(RCX, ROUNDS);
    a.xor(EAX, EAX);
    a.mov(RBX, returned);
    a.bind(again);
    a.call(called);
    a.bind(returned);
    a.db(MOV_EAX, 1, 0, 0, 0);
    a.add(RDX, RAX);
    a.dec(RCX);
    a.j(Condition.NE, again);
    a.hlt();
    a.align(4096);
    a.bind(called);
    callee.text.accept(a);
    return a.assemble();
  }
}
