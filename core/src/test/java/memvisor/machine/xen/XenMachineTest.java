package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.R10;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import memvisor.boot.ImageFormatException;
import memvisor.boot.XenKernel;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.machine.RunOutcome;
import memvisor.mmu.direct.Errno;
import org.junit.jupiter.api.Test;

/** A domain seen by small guests of our own. */
final class XenMachineTest {
  /** start_info: address of the first table, and of the physical-to-machine list. */
  private static final int PT_BASE = 88;

  private static final int MFN_LIST = 104;

  private static final int DOMID_SELF = 0x7FF0;

  @Test
  void aGuestPrintsAndPowersOff() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              PvGuest.print(a, "hello");
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.outcome()).isEqualTo(new RunOutcome.PoweredOff());
    assertThat(end.console()).isEqualTo("hello");
  }

  @Test
  void theHypercallPageCallsToo() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              long entry =
                  PvGuest.VIRT_BASE
                      + PvGuest.CODE_GPA
                      + PvGuest.HYPERCALL_PAGE_OFFSET
                      + Hypercalls.XEN_VERSION * 32;
              a.mov(RDI, 0);
              a.mov(RCX, 77);
              a.mov(RAX, entry);
              a.call(RAX);
              a.mov(RBX, RAX);
              a.sub(RBX, RCX);
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.rbx()).as("version 4.17 less the preserved RCX").isEqualTo((4 << 16 | 17) - 77);
  }

  @Test
  void aRebootIsAReset() {
    assertThat(PvGuest.run(a -> PvGuest.shutDown(a, 1)).outcome())
        .isEqualTo(new RunOutcome.Reset());
  }

  @Test
  void anExceptionWithoutHandlerEndsTheDomainOnly() {
    assertThat(PvGuest.run(a -> a.ud2()).outcome()).isInstanceOf(RunOutcome.Died.class);
  }

  @Test
  void aFrameThatTheStackCannotTakeEndsTheDomainOnly() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              Label handler = a.label();
              setTrap(a, 6, handler);
              a.mov(RSP, 0x1000);
              a.ud2();
              a.bind(handler);
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.outcome()).isInstanceOf(RunOutcome.Died.class);
  }

  @Test
  void aStoreToATableThatWouldMapATableWritableFaults() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              Label handler = a.label();
              setTrap(a, 14, handler);
              findLeafOfTheTable(a);
              a.mov(RAX, Memory.at(RBX));
              a.or(RAX, 2);
              a.mov(Memory.at(RBX), RAX);
              PvGuest.print(a, "written");
              PvGuest.shutDown(a, 0);
              a.bind(handler);
              PvGuest.print(a, "refused");
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.console()).isEqualTo("refused");
    assertThat(end.machine().statistics().counter("refused-writes")).isEqualTo(1);
  }

  @Test
  void aHarmlessStoreToATableIsPerformed() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              findLeafOfTheTable(a);
              a.lock();
              a.and(Memory.at(RBX).byteWide(), 0xDF);
              PvGuest.print(a, "done");
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.console()).isEqualTo("done");
    assertThat(end.machine().statistics().counter("emulated-writes")).isEqualTo(1);
  }

  @Test
  void aMisalignedEntryPointerIsAnError() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              Label request = a.label();
              a.lea(RDI, Memory.at(request));
              a.mov(RSI, 1);
              a.mov(RDX, 0);
              a.mov(R10, DOMID_SELF);
              PvGuest.hypercall(a, Hypercalls.MMU_UPDATE);
              a.mov(RBX, RAX);
              PvGuest.shutDown(a, 0);
              a.align(16);
              a.bind(request);
              a.dq(4, 0);
            });
    assertThat(end.rbx()).as("bit 2 belongs to the command").isEqualTo(-Errno.ENOSYS);
  }

  @Test
  void aBufferInTheMonitorsPartIsAFault() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              a.mov(RDI, 0xFFFF_8000_0000_0000L);
              a.mov(RSI, 1);
              a.mov(RDX, 0);
              a.mov(R10, DOMID_SELF);
              PvGuest.hypercall(a, Hypercalls.MMU_UPDATE);
              a.mov(RBX, RAX);
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.rbx()).isEqualTo(-Errno.EFAULT);
  }

  @Test
  void theMachineToPhysicalTableAnswersForTheListsFrames() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              a.mov(RAX, Memory.at(RSI, MFN_LIST));
              a.mov(RAX, Memory.at(RAX, 8 * 5));
              a.mov(RCX, 0xFFFF_8000_0000_0000L);
              a.mov(RBX, Memory.at(RCX, RAX, 8, 0));
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.rbx()).isEqualTo(5);
  }

  @Test
  void privilegedInstructionsAreEmulated() {
    PvGuest.End end =
        PvGuest.run(
            a -> {
              a.mov(RCX, 0xC000_0101L);
              a.mov(RAX, 0x1234_5000L);
              a.mov(RDX, 0);
              a.wrmsr();
              a.rdmsr();
              a.mov(RBX, RAX);
              PvGuest.shutDown(a, 0);
            });
    assertThat(end.rbx()).isEqualTo(0x1234_5000L);
  }

  @Test
  void anImageWithoutTheNotesIsRefused() {
    byte[] image = PvGuest.image(new byte[0], false);
    // The note XEN_VERSION becomes one that nobody knows.
    int at = new String(image, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("xen-3.0");
    image[at] = 'y';
    assertThatThrownBy(() -> XenKernel.parse(image))
        .isInstanceOf(ImageFormatException.class)
        .hasMessageContaining("XEN_VERSION");
  }

  // ---- pieces of guests ----------------------------------------------------------------------

  private static void setTrap(Assembler a, int vector, Label handler) {
    Label table = a.label();
    Label over = a.label();
    a.mov(RBX, RSI);
    a.lea(RDI, Memory.at(table));
    PvGuest.hypercall(a, Hypercalls.SET_TRAP_TABLE);
    a.mov(RSI, RBX);
    a.jmp(over);
    a.align(16);
    a.bind(table);
    a.db(vector, 0, 0x33, 0xE0, 0, 0, 0, 0);
    a.dq(handler, 0);
    a.dq(0, 0);
    a.bind(over);
  }

  /** RBX: the address of the L1 entry that maps the first bootstrap table, the L4, read-only. */
  private static void findLeafOfTheTable(Assembler a) {
    // The first table of the lowest level is the fourth: L4, L3, L2, L1, in that order.
    a.mov(RAX, Memory.at(RSI, PT_BASE));
    a.mov(RBX, RAX);
    a.shr(RAX, 12);
    a.mov(RCX, PvGuest.VIRT_BASE >>> 12);
    a.sub(RAX, RCX);
    a.shl(RAX, 3);
    a.add(RBX, 3 * 4096);
    a.add(RBX, RAX);
    a.mov(EAX, 0);
  }
}
