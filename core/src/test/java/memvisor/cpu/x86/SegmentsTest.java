package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.cpu.x86.asm.SegmentRegister;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Loads of segment registers, LDTR and TR, and the instructions that look at descriptors. */
final class SegmentsTest {
  private static final int OK = -1;

  record Load(
      String name, SegmentRegister register, int selector, boolean user, int vector, int code) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Load> loads() {
    SegmentRegister ds = SegmentRegister.DS;
    SegmentRegister ss = SegmentRegister.SS;
    return Stream.of(
        new Load("data", ds, 0x10, false, OK, 0),
        new Load("null data", ds, 0, false, OK, 0),
        new Load("null data with RPL 3", ds, 3, true, OK, 0),
        new Load("read-only data", ds, 0x88, false, OK, 0),
        new Load("readable code", ds, 0x18, false, OK, 0),
        new Load("conforming code from user mode", ds, 0x4B, true, OK, 0),
        new Load("user data from the kernel", ds, 0x28, false, OK, 0),
        new Load("execute-only code", ds, 0x80, false, Vector.GP, 0x80),
        new Load("system segment", ds, 0x38, false, Vector.GP, 0x38),
        new Load("data not present", ds, 0x50, false, Vector.NP, 0x50),
        new Load("kernel data from user mode", ds, 0x10, true, Vector.GP, 0x10),
        new Load("kernel data with RPL 3", ds, 0x13, false, Vector.GP, 0x10),
        new Load("beyond the GDT", ds, 0xA8, false, Vector.GP, 0xA8),
        new Load("no LDT", ds, 0x0C, false, Vector.GP, 0x0C),
        new Load("stack", ss, 0x10, false, OK, 0),
        new Load("null stack in the kernel", ss, 0, false, OK, 0),
        new Load("null stack of another RPL", ss, 1, false, Vector.GP, 0),
        new Load("null stack in user mode", ss, 3, true, Vector.GP, 0),
        new Load("read-only stack", ss, 0x88, false, Vector.GP, 0x88),
        new Load("code as stack", ss, 0x08, false, Vector.GP, 0x08),
        new Load("user stack in the kernel", ss, 0x2B, false, Vector.GP, 0x28),
        new Load("stack not present", ss, 0x50, false, Vector.SS, 0x50));
  }

  @ParameterizedTest
  @MethodSource("loads")
  void aLoadIsCheckedAgainstItsDescriptor(Load l) {
    SystemVm vm = SystemVm.longMode();
    if (l.user) {
      vm.user();
    }
    SegmentName name = SegmentName.valueOf(l.register.name());
    SegmentState before = vm.c.registers().segment(name);
    vm.set(RegisterName.RAX, l.selector);
    vm.program(a -> a.mov(l.register, Register.AX));
    vm.c.run(1);
    if (l.vector == OK) {
      assertThat(vm.c.rip).isGreaterThan(SystemVm.CODE).isLessThan(SystemVm.CODE + 4);
      assertThat(vm.selector(name)).isEqualTo(l.selector);
    } else {
      vm.run();
      assertThat(vm.vector()).isEqualTo(l.vector);
      assertThat(vm.stack(0)).isEqualTo(l.code);
      if (!l.user || name != SegmentName.SS) {
        assertThat(vm.c.registers().segment(name)).isEqualTo(before);
      }
    }
  }

  @Test
  void aLoadSetsTheAccessedBitInTheTable() {
    SystemVm vm = SystemVm.longMode();
    vm.descriptor(SystemVm.DATA, 0, 0xFFFFF, 0xC092);
    vm.set(RegisterName.RAX, SystemVm.DATA);
    vm.run(
        a -> {
          a.mov(SegmentRegister.ES, Register.AX);
          a.hlt();
        });
    assertThat(vm.read64(SystemVm.GDT + SystemVm.DATA) >>> 40 & 0xFF).isEqualTo(0x93);
  }

  @Test
  void anLdtIsUsedOnceLoaded() {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.LDT + 8, 0x0000_9300_1234_0FFFL);
    vm.run(
        a -> {
          a.mov(Register.EAX, SystemVm.LDT_SELECTOR);
          a.lldt(Register.AX);
          a.mov(Register.EAX, 0x0C);
          a.mov(SegmentRegister.FS, Register.AX);
          a.hlt();
        });
    assertThat(vm.vector()).isEqualTo(-1);
    assertThat(vm.c.registers().segment(SegmentName.FS))
        .isEqualTo(new SegmentState(0x0C, 0x1234, 0xFFF, 0x93));
  }

  @Test
  void loadingTrMarksTheTssBusyAndABusyOneIsRefused() {
    SystemVm vm = SystemVm.longMode();
    vm.c.registers().setSegment(SegmentName.TR, SegmentState.none());
    vm.run(
        a -> {
          a.mov(Register.EAX, SystemVm.TSS_SELECTOR);
          a.ltr(Register.AX);
          a.ltr(Register.AX);
        });
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.TSS_SELECTOR);
    assertThat(vm.read64(SystemVm.GDT + SystemVm.TSS_SELECTOR) >>> 40 & 0xFF).isEqualTo(0x8B);
    assertThat(vm.c.registers().segment(SegmentName.TR).base()).isEqualTo(SystemVm.TSS);
  }

  @Test
  void aTssWithANonCanonicalBaseIsRefused() {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.GDT + SystemVm.TSS_SELECTOR + 8, 0x8000);
    vm.run(
        a -> {
          a.mov(Register.EAX, SystemVm.TSS_SELECTOR);
          a.ltr(Register.AX);
        });
    assertThat(vm.vector()).isEqualTo(Vector.GP);
  }

  @Test
  void lgdtAndLidtRefuseANonCanonicalBase() {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.SPARE, 0xFFFF);
    vm.write64(SystemVm.SPARE + 2, 0x8000_0000_0000L);
    vm.run(a -> a.lgdt(Memory.absolute(SystemVm.SPARE)));
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.get(RegisterName.GDTR_BASE)).isEqualTo(SystemVm.GDT);
  }

  @Test
  void sgdtStoresWhatLgdtLoaded() {
    SystemVm vm = SystemVm.longMode();
    vm.run(
        a -> {
          a.sgdt(Memory.absolute(SystemVm.SPARE));
          a.hlt();
        });
    assertThat(vm.read64(SystemVm.SPARE) & 0xFFFF).isEqualTo(SystemVm.GDT_LIMIT);
    assertThat(vm.read64(SystemVm.SPARE + 2)).isEqualTo(SystemVm.GDT);
  }

  @Test
  void realModeLoadsKeepTheLimitOfProtectedMode() {
    SystemVm vm = SystemVm.realMode();
    vm.c.registers().setSegment(SegmentName.DS, new SegmentState(0, 0, -1, 0xC093));
    vm.run(
        a -> {
          a.mov(Register.AX, 0x123);
          a.mov(SegmentRegister.DS, Register.AX);
          a.hlt();
        });
    assertThat(vm.c.registers().segment(SegmentName.DS))
        .isEqualTo(new SegmentState(0x123, 0x1230, -1, 0xC093));
  }

  // ---- LAR, LSL, VERR, VERW ----------------------------------------------------------------

  record Look(String name, Consumer<Assembler> code, int selector, boolean visible, long result) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static Consumer<Assembler> lar() {
    return a -> a.db(0x0F, 0x02, 0xD8); // LAR EBX, EAX
  }

  private static Consumer<Assembler> lsl() {
    return a -> a.db(0x0F, 0x03, 0xD8); // LSL EBX, EAX
  }

  private static Consumer<Assembler> verr() {
    return a -> a.db(0x0F, 0x00, 0xE0); // VERR AX
  }

  private static Consumer<Assembler> verw() {
    return a -> a.db(0x0F, 0x00, 0xE8); // VERW AX
  }

  static Stream<Look> looks() {
    long none = 0x77;
    return Stream.of(
        new Look("LAR of user data", lar(), 0x2B, true, 0xC0_F300),
        new Look("LAR of kernel data", lar(), 0x10, false, none),
        new Look("LAR of conforming code", lar(), 0x48, true, 0xA0_9F00),
        new Look("LAR of a call gate", lar(), 0x63, true, 0x00_EC00),
        new Look("LAR of null", lar(), 0, false, none),
        new Look("LAR beyond the GDT", lar(), 0xFFF8, false, none),
        new Look("LSL of user data", lsl(), 0x2B, true, 0xFFFF_FFFFL),
        new Look("LSL of a call gate", lsl(), 0x63, false, none),
        new Look("VERR of user data", verr(), 0x2B, true, none),
        new Look("VERR of kernel data", verr(), 0x10, false, none),
        new Look("VERW of user data", verw(), 0x2B, true, none),
        new Look("VERW of user code", verw(), 0x33, false, none),
        new Look("VERW of null", verw(), 0, false, none));
  }

  @ParameterizedTest
  @MethodSource("looks")
  void lookingAtADescriptorAnswersInZf(Look l) {
    SystemVm vm = SystemVm.longMode().user();
    vm.set(RegisterName.RAX, l.selector);
    vm.set(RegisterName.RBX, 0x77);
    vm.set(RegisterName.RFLAGS, l.visible ? 0x803 : 0x843);
    vm.program(l.code);
    vm.c.run(1);
    assertThat(vm.c.cpl).isEqualTo(3);
    assertThat(vm.get(RegisterName.RBX)).isEqualTo(l.result);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(l.visible ? 0x843 : 0x803);
  }
}
