package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.DL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RSI;
import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import org.junit.jupiter.api.Test;

class SelfModifyingCodeTest {
  /** MOV EAX, imm32. */
  private static final int MOV_EAX = 0xB8;

  private static final long ALIAS = 0x40_0000;

  @Test
  void aStoreIntoTheNextInstructionIsSeenByIt() {
    TestCpu t = new TestCpu();
    t.program(
        a -> {
          Label patched = a.label();
          a.mov(RBX, patched);
          a.mov(Memory.at(RBX, 1).byteWide(), 42);
          a.bind(patched);
          a.db(MOV_EAX, 1, 0, 0, 0);
        });
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.rax()).isEqualTo(42);
    assertThat(t.c.instructions()).isEqualTo(4);
  }

  @Test
  void aStoreThroughAnotherMappingIsSeen() {
    TestCpu t = new TestCpu();
    t.map(ALIAS, TestCpu.CODE, 7);
    t.program(
        a -> {
          Label patched = a.label();
          Label again = a.label();
          a.mov(ECX, 2);
          a.mov(RBX, patched);
          a.add(RBX, ALIAS - TestCpu.CODE);
          a.bind(again);
          a.bind(patched);
          a.db(MOV_EAX, 1, 0, 0, 0);
          a.mov(Memory.at(RBX, 1).byteWide(), 42);
          a.dec(ECX);
          a.j(Condition.NE, again);
        });
    t.run();
    assertThat(t.rax()).isEqualTo(42);
  }

  @Test
  void aRepeatedStringThatOverwritesCodeAheadIsSeen() {
    TestCpu t = new TestCpu();
    t.write(TestCpu.DATA, 42);
    t.program(
        a -> {
          Label patched = a.label();
          a.mov(RSI, TestCpu.DATA);
          a.mov(RDI, patched);
          a.add(RDI, 1);
          a.mov(RCX, 1);
          a.db(0xF3, 0xA4); // rep movsb
          a.bind(patched);
          a.db(MOV_EAX, 1, 0, 0, 0);
        });
    t.run();
    assertThat(t.rax()).isEqualTo(42);
  }

  @Test
  void aDeviceThatWritesCodeDropsIt() {
    TestCpu t = new TestCpu().program(a -> a.mov(EAX, 1));
    t.run();
    t.write(TestCpu.CODE, new byte[] {(byte) MOV_EAX, 9, 0, 0, 0});
    t.c.rip = TestCpu.CODE;
    t.c.halted = false;
    t.run();
    assertThat(t.rax()).isEqualTo(9);
  }

  @Test
  void dataInTheSamePageLeavesCodeAlone() {
    TestCpu t = new TestCpu();
    t.program(
        a -> {
          a.mov(RBX, TestCpu.CODE + 0x800);
          a.mov(Memory.at(RBX).qword(), RAX);
        });
    t.run();
    assertThat(t.c.code.blocks()).isEqualTo(1);
    assertThat(t.c.code.hasCode(t.baseHpa + TestCpu.CODE)).isTrue();
  }

  @Test
  void overwritingAllOfItsBlocksMakesAPageOrdinaryAgain() {
    TestCpu t = new TestCpu().program(a -> a.mov(EAX, 1));
    t.run();
    t.c.frameDiscarded(t.baseHpa + TestCpu.CODE + 5);
    assertThat(t.c.code.hasCode(t.baseHpa + TestCpu.CODE)).isFalse();
    assertThat(t.c.code.blocks()).isZero();
  }

  /** MOV EAX, imm32 with its opcode and two bytes in one page, the rest in the next. */
  private static TestCpu crossing() {
    TestCpu t = new TestCpu();
    long start = TestCpu.CODE + 0x1000 - 3;
    t.write(start, new byte[] {(byte) MOV_EAX, 1, 0, 0, 0, (byte) 0xF4});
    t.c.rip = start;
    return t;
  }

  private static void again(TestCpu t) {
    t.c.rip = TestCpu.CODE + 0x1000 - 3;
    t.c.halted = false;
    t.run();
  }

  @Test
  void anInstructionAcrossPagesFollowsTheSecondPagesMapping() {
    TestCpu t = crossing();
    t.run();
    assertThat(t.rax()).isEqualTo(1);
    t.write(TestCpu.DATA, new byte[] {3, 0, (byte) 0xF4});
    t.map(TestCpu.CODE + 0x1000, TestCpu.DATA, 7);
    again(t);
    assertThat(t.rax()).isEqualTo(0x0003_0001);
    t.map(TestCpu.CODE + 0x1000, TestCpu.CODE + 0x1000, 7);
    again(t);
    assertThat(t.rax()).isEqualTo(1);
  }

  @Test
  void anInstructionAcrossPagesFollowsAWriteToItsTail() {
    TestCpu t = crossing();
    t.run();
    t.write(TestCpu.CODE + 0x1000, new byte[] {7});
    again(t);
    assertThat(t.rax()).isEqualTo(0x0007_0001);
  }

  @Test
  void aMissingSecondPageFaultsThereWithTheFetchBit() {
    TestCpu t = crossing();
    t.map(TestCpu.CODE + 0x1000, 0, 0);
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
    assertThat(t.c.cr2).isEqualTo(TestCpu.CODE + 0x1000);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).as("error code").isEqualTo(0x10);
    assertThat(t.read(t.c.gpr[Vcpu.RSP] + 8)).as("RIP").isEqualTo(TestCpu.CODE + 0x1000 - 3);
  }

  @Test
  void aShortInstructionAtThePagesEndNeedsNoSecondPage() {
    TestCpu t = new TestCpu();
    t.map(TestCpu.CODE + 0x1000, 0, 0);
    long start = TestCpu.CODE + 0x1000 - 3;
    t.write(start, new byte[] {(byte) 0xB0, 5, (byte) 0xF4}); // mov al, 5; hlt
    t.c.rip = start;
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.rax()).isEqualTo(5);
    assertThat(t.vector()).isEqualTo(-1);
  }

  @Test
  void codeStoresSurviveInALoopThatPatchesItself() {
    TestCpu t = new TestCpu();
    t.program(
        a -> {
          Label again = a.label();
          Label patched = a.label();
          a.mov(ECX, 200);
          a.mov(RBX, patched);
          a.bind(again);
          a.bind(patched);
          a.db(0x80, 0xC2, 0); // add dl, 0
          a.add(Memory.at(RBX, 2).byteWide(), 1);
          a.dec(ECX);
          a.j(Condition.NE, again);
          a.movzx(EAX, DL);
        });
    t.run();
    assertThat(t.rax()).isEqualTo(200 * 199 / 2 & 0xFF);
  }
}
