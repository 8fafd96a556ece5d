package memvisor.machine.pc;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.AX;
import static memvisor.cpu.x86.asm.Register.DX;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.ExitReason;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.memory.FrameRole;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** How machines end, and that nothing of them is left. */
final class PcMachineTest {
  private static final long MEMORY_BYTES = 16L << 20;
  private static final long HOST_BYTES = 64L << 20;

  /** A guest and how a run of it must end. */
  record Case(String name, Consumer<Assembler> code, RunOutcome expected) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static void out(Assembler a, int port, int value) {
    a.mov(DX, port);
    a.mov(AX, value);
    a.out(AX);
  }

  static Stream<Case> endings() {
    return Stream.of(
        new Case(
            "writing the debug-exit port ends the run with the value",
            a -> {
              a.mov(AL, 0x2A);
              a.out(0xF4, AL);
            },
            new RunOutcome.DebugExit(0x2A)),
        new Case(
            "port CF9 resets",
            a -> {
              a.mov(DX, 0xCF9);
              a.mov(AL, 0x06);
              a.out(AL);
            },
            new RunOutcome.Reset()),
        new Case(
            "sleep type 5 in PM1a control powers off",
            a -> out(a, 0x604, 5 << 10 | 1 << 13),
            new RunOutcome.PoweredOff()),
        new Case(
            "an exception with an empty IDT is a triple fault",
            Assembler::ud2,
            new RunOutcome.Died("triple fault: an exception could not be delivered")),
        new Case(
            "HLT with interrupts off can never end",
            a -> {
              a.cli();
              a.hlt();
            },
            new RunOutcome.Died("halted with interrupts disabled: nothing can wake it")),
        new Case(
            "an endless loop runs into the limit",
            a -> {
              Label here = a.label();
              a.bind(here);
              a.jmp(here);
            },
            new RunOutcome.LimitReached()));
  }

  static Stream<List<Object>> endingsUnderEveryTechnique() {
    return endings()
        .flatMap(c -> TechniqueKind.transparent().stream().map(t -> List.<Object>of(c, t)));
  }

  private static PcMachine machine(HostMemory host, TechniqueKind technique) {
    return new PcMachine(
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL), host, b -> {}, b -> {});
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("endingsUnderEveryTechnique")
  void aRunEndsAsTheGuestMadeIt(List<Object> row) {
    Case guest = (Case) row.getFirst();
    try (HostMemory host = HostMemory.create(HOST_BYTES);
        PcMachine machine = machine(host, (TechniqueKind) row.getLast())) {
      machine.boot(BootRequest.of(TinyGuest.of(guest.code)));
      assertThat(machine.run(1_000_000, Long.MAX_VALUE)).isEqualTo(guest.expected);
    }
  }

  @ParameterizedTest
  @EnumSource(value = TechniqueKind.class, mode = EnumSource.Mode.EXCLUDE, names = "DIRECT")
  void aClosedMachineGivesEveryFrameBack(TechniqueKind technique) {
    try (HostMemory host = HostMemory.create(HOST_BYTES)) {
      try (PcMachine machine = machine(host, technique)) {
        machine.boot(BootRequest.of(TinyGuest.of(Assembler::ud2)));
        machine.run(1_000_000, Long.MAX_VALUE);
        assertThat(host.freeBytes()).isLessThan(HOST_BYTES);
      }
      host.audit();
      assertThat(host.ledger().totals().count(FrameRole.FREE)).isEqualTo(HOST_BYTES / 4096);
    }
  }

  @Test
  void aTripleFaultOfOneMachineLeavesItsNeighbourRunning() {
    Consumer<Assembler> counting =
        a -> {
          Label again = a.label();
          a.mov(ECX, 100_000);
          a.bind(again);
          a.inc(Memory.absolute(0x20_0000).dword());
          a.dec(ECX);
          a.j(memvisor.cpu.x86.asm.Condition.NE, again);
          a.mov(EAX, Memory.absolute(0x20_0000));
          a.cmp(EAX, 100_000);
          a.set(memvisor.cpu.x86.asm.Condition.E, AL);
          a.out(0xF4, AL);
        };
    try (HostMemory host = HostMemory.create(HOST_BYTES);
        PcMachine good = machine(host, TechniqueKind.NESTED)) {
      PcMachine bad = machine(host, TechniqueKind.SHADOW);
      good.boot(BootRequest.of(TinyGuest.of(counting)));
      bad.boot(BootRequest.of(TinyGuest.of(Assembler::ud2)));
      assertThat(good.run(100_000, Long.MAX_VALUE)).isEqualTo(new RunOutcome.LimitReached());
      assertThat(bad.run(100_000, Long.MAX_VALUE)).isInstanceOf(RunOutcome.Died.class);
      assertThat(bad.exits().count(ExitReason.TRIPLE_FAULT)).isEqualTo(1);
      bad.close();
      host.audit();
      assertThat(good.run(Long.MAX_VALUE, Long.MAX_VALUE)).isEqualTo(new RunOutcome.DebugExit(1));
    }
  }

  @Test
  void aStopRequestEndsARunFromAnotherThread() throws InterruptedException {
    try (HostMemory host = HostMemory.create(HOST_BYTES);
        PcMachine machine = machine(host, TechniqueKind.NESTED)) {
      machine.boot(
          BootRequest.of(
              TinyGuest.of(
                  a -> {
                    Label here = a.label();
                    a.bind(here);
                    a.jmp(here);
                  })));
      Thread stopper = Thread.ofPlatform().start(machine::stop);
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE)).isEqualTo(new RunOutcome.Stopped());
      stopper.join();
    }
  }
}
