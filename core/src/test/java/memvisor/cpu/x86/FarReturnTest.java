package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** IRET, far RET, far JMP and CALL, call gates, SYSCALL and its kin. */
final class FarReturnTest {
  private static final long NON_CANONICAL = 0x8000_0000_0000L;
  private static final int TARGET = 0x18000;

  // ---- IRET --------------------------------------------------------------------------------

  record Frame(
      String name, long rip, int cs, long flags, long rsp, int ss, int vector, long errorCode) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static void push(SystemVm vm, long... values) {
    long rsp = SystemVm.STACK - 8L * values.length;
    for (int i = 0; i < values.length; i++) {
      vm.write64(rsp + 8L * i, values[i]);
    }
    vm.set(RegisterName.RSP, rsp);
  }

  static Stream<Frame> badFrames() {
    int k = SystemVm.CODE64;
    int d = SystemVm.DATA;
    int u = SystemVm.USER_CODE64;
    return Stream.of(
        new Frame("null CS", TARGET, 0, 2, SystemVm.STACK, d, Vector.GP, 0),
        new Frame("CS beyond the GDT", TARGET, 0xFF8, 2, SystemVm.STACK, d, Vector.GP, 0xFF8),
        new Frame("data as CS", TARGET, d, 2, SystemVm.STACK, d, Vector.GP, d),
        new Frame("CS not present", TARGET, 0x90, 2, SystemVm.STACK, d, Vector.NP, 0x90),
        new Frame("L and D both set", TARGET, 0x98, 2, SystemVm.STACK, d, Vector.GP, 0x98),
        new Frame("RPL differs from DPL", TARGET, k | 3, 2, SystemVm.STACK, d, Vector.GP, k),
        new Frame("RIP not canonical", NON_CANONICAL, k, 2, SystemVm.STACK, d, Vector.GP, 0),
        new Frame("user RIP not canonical", NON_CANONICAL, u, 2, 0, 0x2B, Vector.GP, 0),
        new Frame("null SS to user mode", TARGET, u, 2, 0, 0, Vector.GP, 0),
        new Frame("null SS to compatibility mode", TARGET, 0x18, 2, 0, 0, Vector.GP, 0),
        new Frame("kernel SS to user mode", TARGET, u, 2, 0, d, Vector.GP, d),
        new Frame("code as SS", TARGET, k, 2, 0, k, Vector.GP, k),
        new Frame("read-only SS", TARGET, k, 2, 0, 0x88, Vector.GP, 0x88),
        new Frame("SS not present", TARGET, k, 2, 0, 0x50, Vector.SS, 0x50));
  }

  @ParameterizedTest
  @MethodSource("badFrames")
  void iretqRejectsABadFrameWithoutMoving(Frame f) {
    SystemVm vm = SystemVm.longMode();
    push(vm, f.rip, f.cs, f.flags, f.rsp, f.ss);
    vm.run(Assembler::iretq);
    assertThat(vm.vector()).isEqualTo(f.vector);
    assertThat(vm.stack(0)).isEqualTo(f.errorCode);
    assertThat(vm.stack(1)).as("RIP").isEqualTo(SystemVm.CODE);
    assertThat(vm.stack(4)).as("RSP").isEqualTo(SystemVm.STACK - 40);
  }

  @Test
  void iretqAtTheSameLevelPopsTheStackPointer() {
    SystemVm vm = SystemVm.longMode();
    vm.write8(TARGET, 0xF4);
    push(vm, TARGET, SystemVm.CODE64, 0x8D7, 0x23451, SystemVm.DATA);
    vm.run(Assembler::iretq);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET + 1);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(0x23451);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(0x8D7);
  }

  @Test
  void iretqToUserModeNullsSegmentsThatUserModeMayNotUse() {
    SystemVm vm = SystemVm.longMode();
    vm.c.registers().setSegment(SegmentName.FS, new SegmentState(0, 0x7F00_1234L, 0, 0));
    vm.c
        .registers()
        .setSegment(SegmentName.ES, new SegmentState(SystemVm.USER_DATA, 0, -1, 0xC0F3));
    vm.write8(TARGET, 0xF4);
    push(vm, TARGET, SystemVm.USER_CODE64, 0x202, SystemVm.USER_STACK, SystemVm.USER_DATA);
    vm.run(Assembler::iretq);
    assertThat(vm.vector()).as("HLT in user mode").isEqualTo(Vector.GP);
    assertThat(vm.stack(1)).isEqualTo(TARGET);
    assertThat(vm.stack(2)).isEqualTo(SystemVm.USER_CODE64);
    assertThat(vm.stack(4)).isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.selector(SegmentName.DS)).isZero();
    assertThat(vm.selector(SegmentName.ES)).isEqualTo(SystemVm.USER_DATA);
    assertThat(vm.c.registers().segment(SegmentName.FS).base()).isEqualTo(0x7F00_1234L);
  }

  @Test
  void iretqEntersCompatibilityMode() {
    SystemVm vm = SystemVm.longMode();
    push(vm, TARGET, SystemVm.USER_CODE32, 2, SystemVm.USER_STACK, SystemVm.USER_DATA);
    vm.program(Assembler::iretq);
    vm.c.run(1);
    assertThat(vm.c.registers().codeBits()).isEqualTo(32);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET);
    assertThat(vm.c.cpl).isEqualTo(3);
  }

  @Test
  void userModeChangesNeitherIoplNorIf() {
    SystemVm vm = SystemVm.longMode().user();
    push(vm, TARGET, SystemVm.USER_CODE64, 0x3203, SystemVm.USER_STACK, SystemVm.USER_DATA);
    vm.program(Assembler::iretq);
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(3);
  }

  @Test
  void nestedTaskReturnsAreRefused() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RFLAGS, 0x4002);
    push(vm, TARGET, SystemVm.CODE64, 2, SystemVm.STACK, SystemVm.DATA);
    vm.run(Assembler::iretq);
    assertThat(vm.vector()).isEqualTo(Vector.GP);
  }

  @Test
  void iretInRealModePopsThreeWords() {
    SystemVm vm = SystemVm.realMode();
    vm.write64(0x6000, 0x0202_0100_0050L);
    vm.write8(0x1050, 0xF4);
    vm.run(Assembler::iret);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(0x51);
    assertThat(vm.selector(SegmentName.CS)).isEqualTo(0x100);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(0x6006);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(0x202);
  }

  @Test
  void iretdInProtectedModeReturnsToUserMode() {
    SystemVm vm = SystemVm.protectedMode();
    long rsp = SystemVm.STACK - 20;
    int[] frame = {TARGET, SystemVm.USER_CODE32, 0x202, SystemVm.USER_STACK, SystemVm.USER_DATA};
    for (int i = 0; i < frame.length; i++) {
      vm.write32(rsp + 4L * i, frame[i]);
    }
    vm.set(RegisterName.RSP, rsp);
    vm.program(Assembler::iret);
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET);
    assertThat(vm.c.cpl).isEqualTo(3);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.selector(SegmentName.DS)).isZero();
  }

  // ---- far RET, JMP, CALL ------------------------------------------------------------------

  @Test
  void retfqToUserModePopsItsStack() {
    SystemVm vm = SystemVm.longMode();
    push(vm, TARGET, SystemVm.USER_CODE64, SystemVm.USER_STACK, SystemVm.USER_DATA);
    vm.program(Assembler::retfq);
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.c.cpl).isEqualTo(3);
  }

  private static SystemVm callThrough(SystemVm vm, int selector, int offset) {
    vm.write64(SystemVm.SPARE, (long) selector << 32 | offset);
    vm.run(a -> a.callFar(Memory.absolute(SystemVm.SPARE), 4));
    return vm;
  }

  @Test
  void aFarCallPushesCsAndTheReturnAddress() {
    SystemVm vm = SystemVm.longMode();
    vm.write8(TARGET, 0xF4);
    callThrough(vm, SystemVm.CONFORMING64, TARGET);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET + 1);
    assertThat(vm.selector(SegmentName.CS)).isEqualTo(SystemVm.CONFORMING64);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK - 8);
    assertThat(vm.stack(0)).isEqualTo((long) SystemVm.CODE64 << 32 | SystemVm.CODE + 7);
  }

  @Test
  void conformingCodeRunsAtTheCallersLevel() {
    SystemVm vm = SystemVm.longMode().user();
    vm.write8(TARGET, 0xF4);
    callThrough(vm, SystemVm.CONFORMING64, TARGET);
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.stack(2)).isEqualTo(SystemVm.CONFORMING64 | 3);
  }

  @Test
  void aCallGateLeadsToAnInnerLevelOnTheStackOfTheTss() {
    SystemVm vm = SystemVm.longMode().user();
    callThrough(vm, SystemVm.CALL_GATE | 3, 0x666);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(SystemVm.GATE_TARGET + 1);
    assertThat(vm.c.cpl).isZero();
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK0 - 32);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CODE + 7);
    assertThat(vm.stack(1)).isEqualTo(SystemVm.USER_CODE64);
    assertThat(vm.stack(2)).isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.stack(3)).isEqualTo(SystemVm.USER_DATA);
  }

  @Test
  void aCallGateInProtectedModeCopiesParameters() {
    SystemVm vm = SystemVm.protectedMode().user32();
    vm.callGate(0xEC02, SystemVm.CODE32);
    vm.set(RegisterName.RSP, SystemVm.USER_STACK - 8);
    vm.write64(SystemVm.USER_STACK - 8, 0x2222_2222_1111_1111L);
    callThrough(vm, SystemVm.CALL_GATE | 3, 0);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(SystemVm.GATE_TARGET + 1);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK0 - 24);
    assertThat(vm.stack32(1)).isEqualTo(SystemVm.USER_CODE32);
    assertThat(vm.stack32(2)).isEqualTo(0x1111_1111);
    assertThat(vm.stack32(3)).isEqualTo(0x2222_2222);
    assertThat(vm.stack32(4)).isEqualTo(SystemVm.USER_STACK - 8);
    assertThat(vm.stack32(5)).isEqualTo(SystemVm.USER_DATA);
  }

  record Target(String name, int gateType, int gateTarget, int selector, int vector, int code) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Target> badTargets() {
    int gate = SystemVm.CALL_GATE;
    int k = SystemVm.CODE64;
    return Stream.of(
        new Target("null selector", 0xEC00, k, 0, Vector.GP, 0),
        new Target("beyond the GDT", 0xEC00, k, 0xFFF8, Vector.GP, 0xFFF8),
        new Target("data", 0xEC00, k, SystemVm.USER_DATA, Vector.GP, 0x28),
        new Target("code of an inner level", 0xEC00, k, k, Vector.GP, k),
        new Target("TSS: task switches are refused", 0xEC00, k, 0x38, Vector.GP, 0x38),
        new Target("gate of an inner level", 0x8C00, k, gate, Vector.GP, gate),
        new Target("gate not present", 0x6C00, k, gate, Vector.NP, gate),
        new Target("task gate", 0xE500, k, gate, Vector.GP, gate),
        new Target("gate to null", 0xEC00, 0, gate, Vector.GP, 0),
        new Target("gate to data", 0xEC00, SystemVm.DATA, gate, Vector.GP, SystemVm.DATA),
        new Target("gate to 32-bit code", 0xEC00, 0x18, gate, Vector.GP, 0x18),
        new Target("gate to absent code", 0xEC00, 0x90, gate, Vector.NP, 0x90));
  }

  @ParameterizedTest
  @MethodSource("badTargets")
  void aFarCallFromUserModeRejects(Target t) {
    SystemVm vm = SystemVm.longMode().user();
    vm.callGate(t.gateType, t.gateTarget);
    callThrough(vm, t.selector, TARGET);
    assertThat(vm.vector()).isEqualTo(t.vector);
    assertThat(vm.stack(0)).isEqualTo(t.code);
    assertThat(vm.stack(1)).isEqualTo(SystemVm.CODE);
    assertThat(vm.stack(4)).as("RSP").isEqualTo(SystemVm.USER_STACK);
  }

  @Test
  void aGateWhoseUpperHalfIsNotEmptyIsRejected() {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.GDT + SystemVm.CALL_GATE + 8, 0x100_0000_0000L);
    callThrough(vm, SystemVm.CALL_GATE, 0);
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CALL_GATE);
  }

  // ---- SYSCALL, SYSENTER -------------------------------------------------------------------

  private static SystemVm fast(SystemVm vm) {
    vm.set(RegisterName.STAR, 0x0020_0008L << 32);
    vm.set(RegisterName.LSTAR, TARGET);
    vm.set(RegisterName.FMASK, 0x700);
    vm.set(RegisterName.SYSENTER_CS, SystemVm.CODE64);
    vm.set(RegisterName.SYSENTER_EIP, TARGET);
    vm.set(RegisterName.SYSENTER_ESP, SystemVm.STACK);
    vm.write8(TARGET, 0xF4);
    return vm;
  }

  @Test
  void syscallSavesRipAndFlagsAndMasksThem() {
    SystemVm vm = fast(SystemVm.longMode().user());
    vm.set(RegisterName.RFLAGS, 0x647);
    vm.run(Assembler::syscall);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET + 1);
    assertThat(vm.get(RegisterName.RCX)).isEqualTo(SystemVm.CODE + 2);
    assertThat(vm.get(RegisterName.R11)).isEqualTo(0x647);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(0x47);
    assertThat(vm.selector(SegmentName.CS)).isEqualTo(8);
    assertThat(vm.selector(SegmentName.SS)).isEqualTo(16);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.USER_STACK);
  }

  record Return(String name, boolean wide, long rcx, int cs, int bits) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Return> returns() {
    return Stream.of(
        new Return("to 64-bit code", true, 0x12345, 0x33, 64),
        new Return("to compatibility mode", false, 0xFFFF_0000_0001_2345L, 0x23, 32));
  }

  @ParameterizedTest
  @MethodSource("returns")
  void sysretRestoresRipAndFlags(Return r) {
    SystemVm vm = fast(SystemVm.longMode());
    vm.set(RegisterName.RCX, r.rcx);
    vm.set(RegisterName.R11, 0x3_0AD7);
    vm.program(
        a -> {
          if (r.wide) {
            a.sysretq();
          } else {
            a.sysretl();
          }
        });
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(0x12345);
    assertThat(vm.selector(SegmentName.CS)).isEqualTo(r.cs);
    assertThat(vm.selector(SegmentName.SS)).isEqualTo(0x2B);
    assertThat(vm.c.registers().codeBits()).isEqualTo(r.bits);
    assertThat(vm.get(RegisterName.RFLAGS)).as("RF and VM cleared").isEqualTo(0xAD7);
  }

  @Test
  void sysretToANonCanonicalAddressFaultsInTheKernel() {
    SystemVm vm = fast(SystemVm.longMode());
    vm.set(RegisterName.RCX, NON_CANONICAL);
    vm.run(Assembler::sysretq);
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.stack(1)).isEqualTo(SystemVm.CODE);
    assertThat(vm.stack(2)).isEqualTo(SystemVm.CODE64);
  }

  @Test
  void syscallIsUndefinedWithoutSceAndInCompatibilityMode() {
    SystemVm off = fast(SystemVm.longMode().user());
    off.set(RegisterName.EFER, 0xD00);
    off.run(Assembler::syscall);
    assertThat(off.vector()).isEqualTo(Vector.UD);
    SystemVm narrow = fast(SystemVm.longMode().user32());
    narrow.run(Assembler::syscall);
    assertThat(narrow.vector()).isEqualTo(Vector.UD);
  }

  @Test
  void sysenterEntersAndSysexitLeaves() {
    SystemVm vm = fast(SystemVm.longMode().user());
    vm.run(a -> a.db(0x0F, 0x34));
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(TARGET + 1);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK);
    assertThat(vm.c.cpl).isZero();

    vm.c.halted = false;
    vm.set(RegisterName.RDX, 0x1234);
    vm.set(RegisterName.RCX, 0x5678);
    vm.program(a -> a.db(0x48, 0x0F, 0x35));
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(0x1234);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(0x5678);
    assertThat(vm.selector(SegmentName.CS)).isEqualTo(SystemVm.CODE64 + 32 | 3);
    assertThat(vm.c.cpl).isEqualTo(3);
  }

  @Test
  void compatibilityCodeGetsItsSegmentBasesBack() {
    SystemVm vm = fast(SystemVm.longMode());
    vm.c.registers().setSegment(SegmentName.DS, new SegmentState(0x2B, 0x5000, -1, 0xC0F3));
    assertThat(vm.c.segmentBase[Vcpu.DS]).isZero();
    vm.set(RegisterName.RCX, SystemVm.CODE + 0x100);
    vm.program(Assembler::sysretl);
    vm.c.run(1);
    vm.write64(0x5000 + 0x40, 0xABCD);
    vm.program(a -> a.mov(Register.EAX, Memory.absolute(0x40)));
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(0xABCD);
  }
}
