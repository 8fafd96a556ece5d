package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.EDI;
import static memvisor.cpu.x86.asm.Register.R10;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.ExitReason;
import memvisor.machine.RunOutcome;
import org.junit.jupiter.api.Test;

/** What a domain's leaving counts as: once for each time, whatever it was about. */
final class ExitCountTest {
  private static final long MEMORY_BYTES = 16 << 20;
  private static final int DOMID_SELF = 0x7FF0;
  private static final int MFN_LIST = 104;

  /** What a run counted; its last exit is the hypercall that powers off. */
  private record Counted(
      Map<ExitReason, Long> exits, Map<String, Long> counters, List<Integer> debugConsole) {}

  private static Counted run(boolean batching, Consumer<Assembler> program) {
    Assembler a = new Assembler(PvGuest.VIRT_BASE + PvGuest.CODE_GPA);
    a.code64();
    program.accept(a);
    PvGuest.shutDown(a, 0);
    List<Integer> debugConsole = new ArrayList<>();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        XenMachine machine =
            new XenMachine(
                XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL).withBatching(batching),
                host,
                value -> {},
                debugConsole::add)) {
      machine.boot(BootRequest.of(PvGuest.image(a.assemble(), false)));
      assertThat(machine.run(1_000_000, Long.MAX_VALUE)).isEqualTo(new RunOutcome.PoweredOff());
      return new Counted(machine.exits().counts(), machine.statistics().counters(), debugConsole);
    }
  }

  @Test
  void anEmulatedInstructionIsOneExitAndNoException() {
    Counted counted =
        run(
            true,
            a -> {
              a.mov(RCX, 0xC000_0101L);
              a.xor(EAX, EAX);
              a.mov(RDX, 0);
              a.wrmsr();
            });
    assertThat(counted.exits())
        .isEqualTo(Map.of(ExitReason.PRIVILEGED_INSTRUCTION, 1L, ExitReason.HYPERCALL, 1L));
  }

  @Test
  void theDebugConsoleTakesBytesOnceTheGuestHasIoPrivilege() {
    Counted counted =
        run(
            true,
            a -> {
              Label level = a.label();
              Label over = a.label();
              a.mov(EDI, 6);
              a.lea(RSI, Memory.at(level));
              PvGuest.hypercall(a, Hypercalls.PHYSDEV_OP);
              a.mov(AL, 0x5A);
              a.out(0xE9, AL);
              a.out(0xEA, AL);
              a.jmp(over);
              a.bind(level);
              a.dd(1);
              a.bind(over);
            });
    assertThat(counted.debugConsole()).containsExactly(0x5A);
    assertThat(counted.exits())
        .isEqualTo(Map.of(ExitReason.PRIVILEGED_INSTRUCTION, 2L, ExitReason.HYPERCALL, 2L));
  }

  @Test
  void aListOfRequestsIsOneExitOrOneForEach() {
    Counted batched = run(true, ExitCountTest::updateThreeEntries);
    assertThat(batched.exits()).isEqualTo(Map.of(ExitReason.HYPERCALL, 2L));
    assertThat(batched.counters())
        .containsEntry("table-update-requests", 3L)
        .containsEntry("table-update-exits", 1L);
    Counted single = run(false, ExitCountTest::updateThreeEntries);
    assertThat(single.exits()).isEqualTo(Map.of(ExitReason.HYPERCALL, 4L));
    assertThat(single.counters())
        .containsEntry("table-update-requests", 3L)
        .containsEntry("table-update-exits", 3L);
  }

  /** One mmu_update that says three times of guest frame 5 what is so already. */
  private static void updateThreeEntries(Assembler a) {
    Label requests = a.label();
    Label over = a.label();
    a.mov(RAX, Memory.at(RSI, MFN_LIST));
    a.mov(RAX, Memory.at(RAX, 8 * 5));
    a.shl(RAX, 12);
    a.or(RAX, 1);
    a.lea(RDI, Memory.at(requests));
    for (int i = 0; i < 3; i++) {
      a.mov(Memory.at(RDI, 16 * i), RAX);
      a.mov(Memory.at(RDI, 16 * i + 8).qword(), 5);
    }
    a.mov(RSI, 3);
    a.mov(RDX, 0);
    a.mov(R10, DOMID_SELF);
    PvGuest.hypercall(a, Hypercalls.MMU_UPDATE);
    a.jmp(over);
    a.align(16);
    a.bind(requests);
    a.space(48);
    a.bind(over);
  }

  @Test
  void aMulticallIsOneExitOrOneForEachCallInIt() {
    Consumer<Assembler> guest =
        a -> {
          Label entries = a.label();
          Label over = a.label();
          a.lea(RDI, Memory.at(entries));
          a.mov(RSI, 2);
          PvGuest.hypercall(a, Hypercalls.MULTICALL);
          a.jmp(over);
          a.align(16);
          a.bind(entries);
          for (int i = 0; i < 2; i++) {
            a.dq(Hypercalls.XEN_VERSION, 0, 0, 0, 0, 0, 0, 0);
          }
          a.bind(over);
        };
    assertThat(run(true, guest).exits()).isEqualTo(Map.of(ExitReason.HYPERCALL, 2L));
    assertThat(run(false, guest).exits()).isEqualTo(Map.of(ExitReason.HYPERCALL, 3L));
  }
}
