package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.x86.asm.Memory;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryPathTest {
  private static final long FIRST = TestCpu.DATA;
  private static final long SECOND = TestCpu.DATA + 0x1000;

  /** Where the second page really is: not behind the first. */
  private static final long ELSEWHERE = TestCpu.DATA + 0x9000;

  private static final int P = 1;
  private static final int W = 2;
  private static final int U = 4;

  private static TestCpu scattered() {
    return new TestCpu().map(SECOND, ELSEWHERE, P | W | U);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7})
  void anAccessAcrossPagesReachesBothFrames(int bytesBefore) {
    TestCpu t = scattered();
    long gva = SECOND - bytesBefore;
    t.program(
        a -> {
          a.mov(RBX, gva);
          a.mov(RAX, 0x8877_6655_4433_2211L);
          a.mov(Memory.at(RBX).qword(), RAX);
          a.mov(RAX, 0);
          a.mov(RAX, Memory.at(RBX).qword());
        });
    t.run();
    assertThat(t.rax()).isEqualTo(0x8877_6655_4433_2211L);
    assertThat(t.read(ELSEWHERE)).isEqualTo(0x8877_6655_4433_2211L >>> 8 * bytesBefore);
    assertThat(t.read(SECOND)).isZero();
  }

  @Test
  void aStoreWhoseSecondPageFaultsLeavesTheFirstAlone() {
    TestCpu t = scattered().map(SECOND, ELSEWHERE, P);
    t.program(
        a -> {
          a.mov(RBX, SECOND - 4);
          a.mov(RAX, -1);
          a.mov(Memory.at(RBX).qword(), RAX);
        });
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
    assertThat(t.c.cr2).isEqualTo(SECOND);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).isEqualTo(P | W);
    assertThat(t.read(SECOND - 8)).isZero();
  }

  @Test
  void readModifyWriteOfAReadOnlyPageFaultsAsAWrite() {
    TestCpu t = new TestCpu().map(FIRST, FIRST, P);
    t.program(
        a -> {
          a.mov(RBX, FIRST);
          a.add(Memory.at(RBX).dword(), 1);
        });
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).isEqualTo(P | W);
  }

  @Test
  void aPageReadFirstIsStillCheckedWhenWritten() {
    TestCpu t = new TestCpu().map(FIRST, FIRST, P);
    t.program(
        a -> {
          a.mov(RBX, FIRST);
          a.mov(RAX, Memory.at(RBX).qword());
          a.mov(Memory.at(RBX).qword(), RAX);
        });
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.PF);
  }

  @Test
  void aNonCanonicalAddressIsAGeneralProtectionFault() {
    TestCpu t = new TestCpu();
    t.program(
        a -> {
          a.mov(RBX, 1L << 47);
          a.mov(RAX, Memory.at(RBX).qword());
        });
    t.run();
    assertThat(t.vector()).isEqualTo(Vector.GP);
    assertThat(t.read(t.c.gpr[Vcpu.RSP])).isZero();
  }

  @Test
  void addressesWithoutMemoryGoToDevices() {
    TestCpu t = new TestCpu();
    t.program(
        a -> {
          a.mov(RBX, TestMonitor.DEVICE + 0x20);
          a.mov(EAX, Memory.at(RBX).dword());
          a.mov(Memory.at(RBX, 4).dword(), EAX);
        });
    t.run();
    assertThat(t.rax()).isEqualTo(0x8877_6655L);
    assertThat(t.monitor.exits).containsExactly("read 0x20 4", "write 0x24 4 0x88776655");
  }

  @Test
  void theMonitorIsToldOfTrackedWritesAfterwards() {
    TestMonitor tracking =
        new TestMonitor() {
          @Override
          public void translationExit(long gva, int access, TranslationResult result) {
            long gpa = gva;
            result.mapped(4 << 20 | gpa, gpa);
            result.tracked = true;
          }
        };
    TestCpu t = new TestCpu(tracking);
    t.unit.trap();
    t.program(
        a -> {
          a.mov(RBX, FIRST);
          a.mov(Memory.at(RBX).dword(), 5);
        });
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
    assertThat(t.read(FIRST)).isEqualTo(5);
    assertThat(tracking.exits).containsExactly("tracked 0x200000 4");
  }

  @Test
  void aMonitorThatGivesUpStopsTheProcessorWithAReason() {
    TestCpu t = new TestCpu();
    t.unit.trap();
    t.program(a -> a.mov(RAX, 1));
    assertThat(t.run()).isEqualTo(RunExit.FAILED);
    assertThat(t.c.failure()).contains("gva=0x100000");
  }

  @Test
  void aMonitorThatNeverRepairsIsNoticed() {
    TestCpu t =
        new TestCpu(
            new TestMonitor() {
              @Override
              public void translationExit(long gva, int access, TranslationResult result) {
                result.kind = TranslationResult.RETRY;
              }
            });
    t.unit.trap();
    t.program(a -> a.mov(RAX, 1));
    assertThat(t.run()).isEqualTo(RunExit.FAILED);
    assertThat(t.c.failure()).contains("64 exits");
  }
}
