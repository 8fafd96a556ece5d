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

/** Exceptions and interrupts: who is entered, on which stack, with what pushed. */
final class ExceptionDeliveryTest {
  private static final long NON_CANONICAL = 0x8000_0000_0000L;

  record FaultCode(String name, int vector, long errorCode, Consumer<SystemVm> prepare) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<FaultCode> longModeFaults() {
    return Stream.of(
        new FaultCode(
            "gate beyond the limit",
            Vector.GP,
            0x90 << 3 | 2,
            vm -> {
              vm.c.idtLimit = 0x8FF;
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "gate not present",
            Vector.NP,
            0x90 << 3 | 2,
            vm -> {
              vm.gate64(0x90, SystemVm.CODE64, SystemVm.HANDLERS, 0x0E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "not a gate",
            Vector.GP,
            0x90 << 3 | 2,
            vm -> {
              vm.gate64(0x90, SystemVm.CODE64, SystemVm.HANDLERS, 0x8500);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "gate DPL below CPL",
            Vector.GP,
            0x90 << 3 | 2,
            vm -> vm.user().program(a -> a.int_(0x90))),
        new FaultCode(
            "null code selector in gate",
            Vector.GP,
            0,
            vm -> {
              vm.gate64(0x90, 0, SystemVm.HANDLERS, 0x8E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "data selector in gate",
            Vector.GP,
            SystemVm.DATA,
            vm -> {
              vm.gate64(0x90, SystemVm.DATA, SystemVm.HANDLERS, 0x8E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "32-bit code in gate",
            Vector.GP,
            SystemVm.CODE32,
            vm -> {
              vm.gate64(0x90, SystemVm.CODE32, SystemVm.HANDLERS, 0x8E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "code segment not present",
            Vector.NP,
            SystemVm.ABSENT_CODE,
            vm -> {
              vm.gate64(0x90, SystemVm.ABSENT_CODE, SystemVm.HANDLERS, 0x8E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "handler not canonical",
            Vector.GP,
            0,
            vm -> {
              vm.gate64(0x90, SystemVm.CODE64, NON_CANONICAL, 0x8E00);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "interrupt stack not canonical",
            Vector.SS,
            0,
            vm -> {
              vm.write64(SystemVm.TSS + 36, NON_CANONICAL);
              vm.gate64(0x90, SystemVm.CODE64, SystemVm.HANDLERS, 0x8E01);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "interrupt stack beyond the TSS",
            Vector.TS,
            SystemVm.TSS_SELECTOR,
            vm -> {
              vm.c.segmentLimit[Vcpu.TR] = 0x2A;
              vm.gate64(0x90, SystemVm.CODE64, SystemVm.HANDLERS, 0x8E01);
              vm.program(a -> a.int_(0x90));
            }),
        new FaultCode(
            "external interrupt sets EXT",
            Vector.NP,
            0x90 << 3 | 3,
            vm -> {
              vm.gate64(0x90, SystemVm.CODE64, SystemVm.HANDLERS, 0x0E00);
              vm.monitor.pendingVector = 0x90;
              vm.set(RegisterName.RFLAGS, 0x202);
              vm.c.setInterruptLine(true);
              vm.program(Assembler::nop);
            }),
        new FaultCode(
            "exception during exception sets EXT",
            Vector.NP,
            Vector.UD << 3 | 3,
            vm -> {
              vm.gate64(Vector.UD, SystemVm.CODE64, SystemVm.HANDLERS, 0x0E00);
              vm.program(Assembler::ud2);
            }),
        new FaultCode(
            "user read of a page that is not there",
            Vector.PF,
            4,
            vm -> {
              vm.unmap(SystemVm.SPARE);
              vm.user().program(a -> a.mov(Register.EAX, Memory.absolute(SystemVm.SPARE)));
            }),
        new FaultCode(
            "non-canonical data",
            Vector.GP,
            0,
            vm -> {
              vm.set(RegisterName.RAX, NON_CANONICAL);
              vm.program(a -> a.mov(Register.RBX, Memory.at(Register.RAX)));
            }),
        new FaultCode(
            "selector of a bad load",
            Vector.GP,
            SystemVm.USER_CODE64 & ~3 | 4,
            vm -> {
              vm.set(RegisterName.RAX, SystemVm.USER_CODE64 & ~3 | 4);
              vm.program(a -> a.mov(SegmentRegister.DS, Register.AX));
            }));
  }

  @ParameterizedTest
  @MethodSource("longModeFaults")
  void aFaultReportsItsVectorCodeAndPlace(FaultCode fault) {
    SystemVm vm = SystemVm.longMode();
    fault.prepare.accept(vm);
    long rip = vm.get(RegisterName.RIP);

    assertThat(vm.run()).isEqualTo(RunExit.HALTED);

    assertThat(vm.vector()).isEqualTo(fault.vector);
    assertThat(vm.stack(0)).as("error code").isEqualTo(fault.errorCode);
    assertThat(vm.stack(1)).as("saved RIP").isEqualTo(rip);
  }

  @Test
  void anInnerInterruptTakesTheStackOfTheTssAndPushesTheUsers() {
    SystemVm vm = SystemVm.longMode().user();
    vm.set(RegisterName.RSP, SystemVm.USER_STACK - 5);
    vm.gate64(0x80, SystemVm.CODE64, SystemVm.HANDLERS + 0x800, 0xEE00);
    vm.run(a -> a.int_(0x80));

    assertThat(vm.vector()).isEqualTo(0x80);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK0 - 40);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CODE + 2);
    assertThat(vm.stack(1)).isEqualTo(SystemVm.USER_CODE64);
    assertThat(vm.stack(3)).isEqualTo(SystemVm.USER_STACK - 5);
    assertThat(vm.stack(4)).isEqualTo(SystemVm.USER_DATA);
    assertThat(vm.selector(SegmentName.SS)).isZero();
    assertThat(vm.c.cpl).isZero();
  }

  @Test
  void theSameLevelKeepsItsStackAlignedTo16Bytes() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RSP, SystemVm.STACK - 3);
    vm.run(Assembler::ud2);

    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK - 16 - 40);
    assertThat(vm.stack(3)).isEqualTo(SystemVm.STACK - 3);
    assertThat(vm.selector(SegmentName.SS)).isEqualTo(SystemVm.DATA);
  }

  @Test
  void anInterruptStackIsUsedAtAnyLevel() {
    SystemVm vm = SystemVm.longMode();
    vm.gate64(Vector.UD, SystemVm.CODE64, SystemVm.HANDLERS + 16 * Vector.UD, 0x8E01);
    vm.run(Assembler::ud2);

    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.IST1 - 40);
  }

  @Test
  void faultsSaveRfAndClearTfNtAndIfInAnInterruptGate() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RFLAGS, 0x4203);
    vm.run(Assembler::ud2);

    assertThat(vm.stack(2)).isEqualTo(0x14203);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(3);
  }

  @Test
  void aTrapGateLeavesInterruptsOn() {
    SystemVm vm = SystemVm.longMode();
    vm.gate64(Vector.BP, SystemVm.CODE64, SystemVm.HANDLERS + 16 * Vector.BP, 0x8F00);
    vm.set(RegisterName.RFLAGS, 0x202);
    vm.run(Assembler::int3);

    assertThat(vm.vector()).isEqualTo(Vector.BP);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(0x202);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CODE + 1);
    assertThat(vm.stack(2)).isEqualTo(0x202);
  }

  // ---- double and triple faults ------------------------------------------------------------

  record Nested(String name, int first, int handlerFault, int delivered) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** SDM vol. 3A, table 6-5: the first exception, what delivering it raises, what comes of it. */
  static Stream<Nested> nesting() {
    return Stream.of(
        new Nested("benign then contributory", Vector.UD, Vector.NP, Vector.NP),
        new Nested("contributory then contributory", Vector.GP, Vector.NP, Vector.DF),
        new Nested("benign then page fault", Vector.UD, Vector.PF, Vector.PF),
        new Nested("contributory then page fault", Vector.GP, Vector.PF, Vector.PF),
        new Nested("page fault then contributory", Vector.PF, Vector.NP, Vector.DF),
        new Nested("page fault then page fault", Vector.PF, Vector.PF, Vector.DF));
  }

  @ParameterizedTest
  @MethodSource("nesting")
  void aFaultWhileDeliveringAFaultIsClassified(Nested n) {
    SystemVm vm = SystemVm.longMode();
    vm.unmap(SystemVm.SPARE);
    breakGate(vm, n.first, n.handlerFault);

    RunExit exit = vm.run(a -> raise(a, n.first));

    assertThat(exit).isEqualTo(RunExit.HALTED);
    assertThat(vm.vector()).isEqualTo(n.delivered);
    if (n.delivered == Vector.DF) {
      assertThat(vm.stack(0)).as("error code").isZero();
    }
  }

  /** Makes delivery of {@code vector} raise #NP, or #PF by a stack that is not there. */
  private static void breakGate(SystemVm vm, int vector, int fault) {
    boolean absent = fault == Vector.NP;
    vm.gate64(vector, SystemVm.CODE64, SystemVm.HANDLERS + 16L * vector, absent ? 0x0E00 : 0x8E02);
    vm.write64(SystemVm.TSS + 44, SystemVm.SPARE + 0x800);
    if (vector == Vector.PF && !absent) {
      // The second page fault must not find the broken gate's stack again for #DF.
      vm.gate64(Vector.DF, SystemVm.CODE64, SystemVm.HANDLERS + 16 * Vector.DF, 0x8E01);
    }
  }

  private static void raise(Assembler a, int vector) {
    switch (vector) {
      case Vector.UD -> a.ud2();
      case Vector.PF -> a.mov(Register.EAX, Memory.absolute(SystemVm.SPARE));
      default -> {
        a.mov(Register.EAX, 0xFFF8);
        a.mov(SegmentRegister.DS, Register.AX);
      }
    }
  }

  @Test
  void aFaultWhileDeliveringADoubleFaultShutsDown() {
    SystemVm vm = SystemVm.longMode();
    vm.c.idtLimit = 0;
    assertThat(vm.run(Assembler::ud2)).isEqualTo(RunExit.SHUTDOWN);
    assertThat(vm.get(RegisterName.RIP)).isEqualTo(SystemVm.CODE);
    assertThat(vm.run()).as("stays shut down").isEqualTo(RunExit.SHUTDOWN);
  }

  @Test
  void aStackThatIsNotThereEndsInShutdownNotInALoop() {
    SystemVm vm = SystemVm.longMode();
    vm.unmap(SystemVm.SPARE);
    vm.set(RegisterName.RSP, SystemVm.SPARE + 0x100);
    assertThat(vm.run(Assembler::ud2)).isEqualTo(RunExit.SHUTDOWN);
    assertThat(vm.get(RegisterName.CR2)).isBetween((long) SystemVm.SPARE, SystemVm.SPARE + 0x100L);
  }

  @Test
  void deliveryThatFaultsChangesNoRegister() {
    SystemVm vm = SystemVm.longMode().user();
    vm.unmap(SystemVm.SPARE);
    vm.write64(SystemVm.TSS + 4, SystemVm.SPARE + 0x10);
    vm.gate64(Vector.DF, SystemVm.CODE64, SystemVm.HANDLERS + 16 * Vector.DF, 0x8E01);
    vm.run(Assembler::ud2);

    assertThat(vm.vector()).isEqualTo(Vector.DF);
    assertThat(vm.stack(1)).as("RIP").isEqualTo(SystemVm.CODE);
    assertThat(vm.stack(2)).as("CS").isEqualTo(SystemVm.USER_CODE64);
    assertThat(vm.stack(4)).as("RSP").isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.stack(5)).as("SS").isEqualTo(SystemVm.USER_DATA);
  }

  @Test
  void systemTablesAreReadWithSupervisorRightsFromUserMode() {
    SystemVm vm = SystemVm.longMode().user();
    vm.c.idtBase = SystemVm.SPARE;
    for (int i = 0; i < 512; i++) {
      vm.write64(SystemVm.SPARE + 8L * i, vm.read64(SystemVm.IDT + 8L * i));
    }
    vm.write64(SystemVm.PT + 8 * (SystemVm.SPARE - 0x200000 >>> 12), SystemVm.SPARE | 3);
    vm.run(Assembler::ud2);
    assertThat(vm.vector()).isEqualTo(Vector.UD);
  }

  // ---- single step, interrupts -------------------------------------------------------------

  @Test
  void singleStepTrapsAfterTheInstruction() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RFLAGS, 0x102);
    vm.run(a -> a.mov(Register.EAX, 7));
    assertThat(vm.vector()).isEqualTo(Vector.DB);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(7);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CODE + 5);
    assertThat(vm.get(RegisterName.DR6) & 1 << 14).isNotZero();
  }

  @Test
  void anInterruptWaitsForTheInstructionAfterSti() {
    SystemVm vm = SystemVm.longMode();
    vm.monitor.pendingVector = 0x40;
    vm.c.setInterruptLine(true);
    vm.run(
        a -> {
          a.sti();
          a.mov(Register.EAX, 1);
          a.mov(Register.EAX, 2);
        });
    assertThat(vm.vector()).isEqualTo(0x40);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(1);
  }

  @Test
  void anInterruptWakesAHaltedProcessor() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RFLAGS, 0x202);
    assertThat(vm.run(Assembler::hlt)).isEqualTo(RunExit.HALTED);
    vm.monitor.pendingVector = 0x41;
    vm.c.setInterruptLine(true);
    assertThat(vm.run()).isEqualTo(RunExit.HALTED);
    assertThat(vm.vector()).isEqualTo(0x41);
    assertThat(vm.stack(0)).isEqualTo(SystemVm.CODE + 1);
  }

  // ---- other modes -------------------------------------------------------------------------

  @Test
  void realModePushesThreeWords() {
    SystemVm vm = SystemVm.realMode();
    vm.set(RegisterName.RFLAGS, 0x202);
    vm.run(a -> a.int_(0x21));
    assertThat(vm.vector()).isEqualTo(0x21);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(0x6000 - 6);
    assertThat(vm.read64(0x6000 - 6) & 0xFFFF_FFFF_FFFFL).isEqualTo(0x0202_0000_7002L);
    assertThat(vm.get(RegisterName.RFLAGS)).isEqualTo(2);
  }

  @Test
  void protectedModePushesAnErrorCodeOnTheSameStack() {
    SystemVm vm = SystemVm.protectedMode();
    vm.run(
        a -> {
          a.mov(Register.EAX, 0xFFF8);
          a.mov(SegmentRegister.DS, Register.EAX);
        });
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK - 16);
    assertThat(vm.stack32(0)).isEqualTo(0xFFF8);
    assertThat(vm.stack32(1)).isEqualTo(SystemVm.CODE + 5);
    assertThat(vm.stack32(2)).isEqualTo(SystemVm.CODE32);
  }

  @Test
  void protectedModeSwitchesToTheStackOfTheTss() {
    SystemVm vm = SystemVm.protectedMode().user32();
    vm.gate32(0x80, SystemVm.CODE32, SystemVm.HANDLERS + 0x800, 0xEE00);
    vm.run(a -> a.int_(0x80));
    assertThat(vm.vector()).isEqualTo(0x80);
    assertThat(vm.get(RegisterName.RSP)).isEqualTo(SystemVm.STACK0 - 20);
    assertThat(vm.stack32(3)).isEqualTo(SystemVm.USER_STACK);
    assertThat(vm.stack32(4)).isEqualTo(SystemVm.USER_DATA);
    assertThat(vm.selector(SegmentName.SS)).isEqualTo(SystemVm.DATA);
  }

  @Test
  void aStackSegmentOfTheWrongLevelInTheTssIsAnInvalidTss() {
    SystemVm vm = SystemVm.protectedMode().user32();
    vm.write32(SystemVm.TSS + 8, SystemVm.USER_DATA);
    vm.gate32(0x80, SystemVm.CODE32, SystemVm.HANDLERS + 0x800, 0xEE00);
    assertThat(vm.run(a -> a.int_(0x80))).isEqualTo(RunExit.SHUTDOWN);
  }
}
