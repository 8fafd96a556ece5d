package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;

import java.util.function.Consumer;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;

/** Small paravirtual guests out of the assembler, run to their end. */
final class PvGuest {
  static final long VIRT_BASE = 0xFFFF_FFFF_8000_0000L;

  /** Where code starts: 1 MiB of guest-physical memory. */
  static final long CODE_GPA = 0x10_0000;

  /** Where {@link #page} places pages of the guest's own. */
  private static final int CODE_BYTES = 0x10000;

  static final int HYPERCALL_PAGE_OFFSET = 0x8000;

  private static final long MEMORY_BYTES = 16 << 20;
  private static final long BUDGET = 20_000_000;

  private PvGuest() {}

  /** A hypercall by SYSCALL; the arguments are in place. */
  static void hypercall(Assembler a, int number) {
    a.mov(EAX, number);
    a.syscall();
  }

  /** Prints by console_io and powers off. */
  static void shutDown(Assembler a, int reason) {
    Label argument = a.label();
    Label over = a.label();
    a.mov(EAX, Hypercalls.SCHED_OP);
    a.mov(RDI, 2);
    a.lea(RSI, Memory.at(argument));
    a.syscall();
    a.jmp(over);
    a.align(8);
    a.bind(argument);
    a.dd(reason);
    a.bind(over);
    a.ud2();
  }

  static void print(Assembler a, String text) {
    Label at = a.label();
    Label over = a.label();
    a.mov(RDI, 0);
    a.mov(RSI, text.length());
    a.lea(RDX, Memory.at(at));
    hypercall(a, Hypercalls.CONSOLE_IO);
    a.jmp(over);
    a.bind(at);
    a.ascii(text);
    a.bind(over);
  }

  /**
   * What a run left behind.
   *
   * @param outcome how it ended
   * @param console what it printed
   * @param rbx RBX at the end, where guests leave their result
   * @param machine the machine, closed but for its counters
   */
  record End(RunOutcome outcome, String console, long rbx, XenMachine machine) {}

  /** Runs a guest; {@code program} emits code at its entry. */
  static End run(Consumer<Assembler> program) {
    Assembler a = new Assembler(VIRT_BASE + CODE_GPA);
    a.code64();
    program.accept(a);
    return run(a.assemble(), true);
  }

  static End run(byte[] code, boolean hypercallPage) {
    return boot(image(code, hypercallPage));
  }

  /** Boots an image and runs it to its end. */
  static End boot(byte[] image) {
    return boot(BootRequest.of(image).withCommandLine("a line"));
  }

  static End boot(BootRequest request) {
    StringBuilder console = new StringBuilder();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        XenMachine machine =
            new XenMachine(
                XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL),
                host,
                value -> console.append((char) value))) {
      machine.boot(request);
      RunOutcome outcome = machine.run(BUDGET, Long.MAX_VALUE);
      machine.technique().types().audit();
      return new End(
          outcome, console.toString(), machine.registers().get(RegisterName.RBX), machine);
    }
  }

  /** An ELF image with the notes of a PV kernel. */
  static byte[] image(byte[] code, boolean hypercallPage) {
    PvImage image = PvImage.of(code).withMemory(CODE_BYTES);
    return hypercallPage
        ? image
            .withNote(PvImage.NOTE_HYPERCALL_PAGE, VIRT_BASE + CODE_GPA + HYPERCALL_PAGE_OFFSET)
            .bytes()
        : image.bytes();
  }
}
