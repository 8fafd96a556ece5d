package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class InterruptTest {
  private static final int VECTOR = 0x40;

  private static TestCpu waiting(TestCpu t) {
    t.monitor.pendingVector = VECTOR;
    t.c.setInterruptLine(true);
    return t;
  }

  @Test
  void aMaskedInterruptWaits() {
    TestCpu t = waiting(new TestCpu().program(a -> a.mov(EAX, 1)));
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.rax()).isEqualTo(1);
    assertThat(t.vector()).isEqualTo(-1);
  }

  @Test
  void anEnabledInterruptComesBeforeTheNextInstruction() {
    TestCpu t = waiting(new TestCpu().program(a -> a.mov(EAX, 1)));
    t.c.flags.system |= Flags.IF;
    t.run();
    assertThat(t.vector()).isEqualTo(VECTOR);
    assertThat(t.rax()).isZero();
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).as("RIP").isEqualTo(TestCpu.CODE);
  }

  @Test
  void oneInstructionAfterStiRunsFirst() {
    TestCpu t =
        waiting(
            new TestCpu()
                .program(
                    a -> {
                      a.sti();
                      a.inc(RAX);
                      a.inc(RAX);
                    }));
    t.run();
    assertThat(t.vector()).isEqualTo(VECTOR);
    assertThat(t.rax()).isEqualTo(1);
  }

  @Test
  void haltAfterStiIsWokenByAnInterruptThatWaited() {
    TestCpu t = waiting(new TestCpu().program(a -> a.sti()));
    t.run();
    assertThat(t.vector()).isEqualTo(VECTOR);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).as("RIP behind HLT").isEqualTo(TestCpu.CODE + 2);
  }

  @Test
  void haltReturnsAndIsWokenLater() {
    TestCpu t = new TestCpu().program(a -> a.sti());
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    waiting(t);
    t.run();
    assertThat(t.vector()).isEqualTo(VECTOR);
  }

  @Test
  void theTrapFlagTrapsAfterEachInstruction() {
    TestCpu t = new TestCpu().program(a -> a.inc(RAX));
    t.c.flags.system |= Flags.TF;
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.DB);
    assertThat(t.rax()).isEqualTo(1);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).as("RIP").isEqualTo(TestCpu.CODE + 3);
  }

  @Test
  void anotherThreadsStopEndsAnEndlessLoop() throws InterruptedException {
    TestCpu t = new TestCpu().program(a -> a.jmp(a.labelHere()));
    Thread stopper = Thread.ofPlatform().start(t.c::requestStop);
    assertThat(t.c.run(Long.MAX_VALUE)).isEqualTo(RunExit.STOPPED);
    stopper.join();
  }

  @Test
  void aTripleFaultShutsDown() {
    TestCpu t = new TestCpu().program(a -> a.ud2());
    t.c.idtLimit = 0;
    assertThat(t.run()).isEqualTo(RunExit.SHUTDOWN);
    assertThat(t.run()).isEqualTo(RunExit.SHUTDOWN);
  }
}
