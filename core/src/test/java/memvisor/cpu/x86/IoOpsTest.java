package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Port input and output: widths, strings, and who may. */
final class IoOpsTest {
  @Test
  void inputMergesBytesAndZeroExtendsDoublewords() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RAX, 0x1122_3344_5566_7788L);
    vm.monitor.portValue = 0xAB;
    vm.program(a -> a.in(Register.AL, 0x60));
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(0x1122_3344_5566_77ABL);
    vm.monitor.portValue = 0x8000_0000;
    vm.set(RegisterName.RDX, 0x1_0CF8);
    vm.program(a -> a.in(Register.EAX));
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(0x8000_0000L);
    assertThat(vm.monitor.exits).containsExactly("in 60/1", "in cf8/4");
  }

  @Test
  void outputTakesTheWidthOfTheAccumulator() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RAX, 0x1122_3344_5566_7788L);
    vm.set(RegisterName.RDX, 0x3F8);
    vm.run(
        a -> {
          a.out(Register.AL);
          a.out(Register.AX);
          a.out(0x80, Register.EAX);
          a.hlt();
        });
    assertThat(vm.monitor.exits)
        .containsExactly("out 3f8/1=88", "out 3f8/2=7788", "out 80/4=55667788");
  }

  @Test
  void repeatedStringOutputWalksItsSource() {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.SPARE, 0x0003_0002_0001L);
    vm.set(RegisterName.RSI, SystemVm.SPARE);
    vm.set(RegisterName.RCX, 3);
    vm.set(RegisterName.RDX, 0x1F0);
    vm.run(
        a -> {
          a.rep();
          a.outs(2);
          a.hlt();
        });
    assertThat(vm.monitor.exits).containsExactly("out 1f0/2=1", "out 1f0/2=2", "out 1f0/2=3");
    assertThat(vm.get(RegisterName.RSI)).isEqualTo(SystemVm.SPARE + 6);
    assertThat(vm.get(RegisterName.RCX)).isZero();
  }

  @Test
  void stringInputThatWouldFaultDoesNotReadThePort() {
    SystemVm vm = SystemVm.longMode();
    vm.unmap(SystemVm.SPARE);
    vm.set(RegisterName.RDI, SystemVm.SPARE - 2);
    vm.set(RegisterName.RCX, 2);
    vm.set(RegisterName.RDX, 0x1F0);
    vm.monitor.portValue = 0x4241;
    vm.run(
        a -> {
          a.rep();
          a.ins(2);
        });
    assertThat(vm.vector()).isEqualTo(Vector.PF);
    assertThat(vm.get(RegisterName.CR2)).isEqualTo(SystemVm.SPARE);
    assertThat(vm.get(RegisterName.RCX)).isEqualTo(1);
    assertThat(vm.read64(SystemVm.SPARE - 2) & 0xFFFF).isEqualTo(0x4241);
    assertThat(vm.monitor.exits).containsExactly("in 1f0/2");
  }

  record Permission(String name, int iopl, int mapBase, int port, int size, boolean allowed) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** The map lies at 104 in a TSS with limit 0xA7 and denies ports 0x0C and 0x10 alone. */
  static Stream<Permission> permissions() {
    return Stream.of(
        new Permission("IOPL 3 needs no map", 3, 0xFFFF, 0x0C, 1, true),
        new Permission("clear bit", 0, 104, 0x0B, 1, true),
        new Permission("set bit", 0, 104, 0x0C, 1, false),
        new Permission("last of four bits set", 0, 104, 0x09, 4, false),
        new Permission("four clear bits across bytes", 0, 104, 0x06, 4, true),
        new Permission("bit in the next byte set", 0, 104, 0x0D, 4, false),
        new Permission("last byte of the map needs one more", 0, 104, 0x1F8, 1, false),
        new Permission("map beyond the limit", 0, 0xFFFF, 0x0B, 1, false));
  }

  @ParameterizedTest
  @MethodSource("permissions")
  void userModeNeedsIoplOrTheMap(Permission p) {
    SystemVm vm = SystemVm.longMode().user();
    int tss = SystemVm.SPARE;
    vm.c.registers().setSegment(SegmentName.TR, SegmentState.tss(0x38, tss, 0xA7));
    vm.write64(tss + 4, SystemVm.STACK0);
    vm.write32(tss + 100, p.mapBase << 16);
    vm.write64(tss + 104, 0x1_1000);
    vm.set(RegisterName.RFLAGS, p.iopl << 12 | 2);
    vm.set(RegisterName.RDX, p.port);
    vm.program(a -> in(a, p.size));
    vm.c.run(1);
    assertThat(vm.monitor.exits.isEmpty()).isNotEqualTo(p.allowed);
    if (!p.allowed) {
      vm.run();
      assertThat(vm.vector()).isEqualTo(Vector.GP);
      assertThat(vm.stack(0)).isZero();
    }
  }

  private static void in(Assembler a, int size) {
    a.in(size == 1 ? Register.AL : Register.EAX);
  }
}
