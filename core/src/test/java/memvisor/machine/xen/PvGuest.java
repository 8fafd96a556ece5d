package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
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
  private static final long BUDGET = 2_000_000;
  private static final int PROGRAM_OFFSET = 4096;

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
    StringBuilder console = new StringBuilder();
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        XenMachine machine =
            new XenMachine(
                XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL),
                host,
                value -> console.append((char) value))) {
      machine.boot(BootRequest.of(image(code, hypercallPage)).withCommandLine("a line"));
      RunOutcome outcome = machine.run(BUDGET, Long.MAX_VALUE);
      machine.technique().types().audit();
      return new End(
          outcome, console.toString(), machine.registers().get(RegisterName.RBX), machine);
    }
  }

  /** An ELF image with the notes of a PV kernel. */
  static byte[] image(byte[] code, boolean hypercallPage) {
    byte[] notes = notes(hypercallPage);
    ByteBuffer file =
        ByteBuffer.allocate(PROGRAM_OFFSET + CODE_BYTES + notes.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {0x7F, 'E', 'L', 'F', 2, 1, 1}).position(16);
    file.putShort((short) 2).putShort((short) 62).putInt(1);
    file.putLong(VIRT_BASE + CODE_GPA).putLong(64).putLong(0);
    file.putInt(0).putShort((short) 64).putShort((short) 56).putShort((short) 2);
    file.position(64);
    header(file, 1, PROGRAM_OFFSET, CODE_GPA, CODE_BYTES);
    header(file, 4, PROGRAM_OFFSET + CODE_BYTES, 0, notes.length);
    file.position(PROGRAM_OFFSET).put(code);
    file.position(PROGRAM_OFFSET + CODE_BYTES).put(notes);
    return file.array();
  }

  private static void header(ByteBuffer file, int type, long offset, long gpa, long size) {
    file.putInt(type).putInt(7).putLong(offset).putLong(VIRT_BASE + gpa).putLong(gpa);
    file.putLong(size).putLong(size).putLong(4096);
  }

  private static byte[] notes(boolean hypercallPage) {
    ByteBuffer notes = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
    number(notes, 1, VIRT_BASE + CODE_GPA);
    number(notes, 3, VIRT_BASE);
    number(notes, 4, 0);
    note(notes, 5, "xen-3.0\0".getBytes(StandardCharsets.US_ASCII));
    if (hypercallPage) {
      number(notes, 2, VIRT_BASE + CODE_GPA + HYPERCALL_PAGE_OFFSET);
    }
    byte[] bytes = new byte[notes.position()];
    notes.flip().get(bytes);
    return bytes;
  }

  private static void number(ByteBuffer notes, int type, long value) {
    note(notes, type, ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }

  private static void note(ByteBuffer notes, int type, byte[] descriptor) {
    notes.putInt(4).putInt(descriptor.length).putInt(type);
    notes.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).put(descriptor);
  }
}
