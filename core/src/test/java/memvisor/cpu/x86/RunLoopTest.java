package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;

class RunLoopTest {
  private static TestCpu countdown() {
    return new TestCpu()
        .program(
            a -> {
              a.mov(Register.ECX, 1000);
              Label again = a.labelHere();
              a.add(Register.RAX, 3);
              a.dec(Register.ECX);
              a.j(Condition.NE, again);
            });
  }

  @Test
  void aLoopRunsToItsHalt() {
    TestCpu t = countdown();
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.rax()).isEqualTo(3000);
    assertThat(t.c.instructions()).isEqualTo(1 + 3000 + 1);
  }

  @Test
  void everyBudgetEndsExactlyThere() {
    TestCpu t = countdown();
    long total = 0;
    for (int n = 1; n < 40; n++) {
      assertThat(t.c.run(n)).isEqualTo(RunExit.BUDGET);
      total += n;
      assertThat(t.c.instructions()).isEqualTo(total);
      assertThat(t.c.rip).isEqualTo(TestCpu.CODE + offsetAfter(total));
    }
  }

  /** mov (5 bytes), then add (4), dec (2), jne (2) again and again. */
  private static int offsetAfter(long instructions) {
    return instructions == 0 ? 0 : new int[] {5, 9, 11}[(int) ((instructions - 1) % 3)];
  }

  @Test
  void aFaultNamesTheInstructionAndChangesNothing() {
    TestCpu t = new TestCpu();
    t.map(TestCpu.DATA, 0, 0);
    t.program(
        a -> {
          a.mov(Register.RAX, 7);
          a.mov(Register.RBX, TestCpu.DATA + 8);
          a.add(Register.RAX, memvisor.cpu.x86.asm.Memory.at(Register.RBX).qword());
        });
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
    assertThat(t.c.cr2).isEqualTo(TestCpu.DATA + 8);
    assertThat(t.rax()).isEqualTo(7);
    assertThat(t.c.instructions()).isEqualTo(3);
  }
}
