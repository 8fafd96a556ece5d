package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/**
 * Hypercalls (public/xen.h): number in RAX, arguments in RDI, RSI, RDX, R10; SYSCALL takes RCX and
 * R11. A call that fails ends the run.
 */
final class HypercallCode {
  static final int SET_TRAP_TABLE = 0;
  static final int IRET = 23;
  static final int SCHED_OP = 29;
  static final int PHYSDEV_OP = 33;
  static final int PHYSDEVOP_SET_IOPL = 6;
  static final int SCHEDOP_SHUTDOWN = 2;
  static final int SHUTDOWN_POWEROFF = 0;
  static final int SHUTDOWN_CRASH = 3;
  static final int MMUEXT_PIN_L4_TABLE = 3;
  static final int MMUEXT_UNPIN_TABLE = 4;
  static final int MMUEXT_NEW_BASEPTR = 5;

  private static final int MMU_UPDATE = 1;
  private static final int MULTICALL = 13;
  private static final int UPDATE_VA_MAPPING = 14;
  private static final int CONSOLE_IO = 18;
  private static final int MMUEXT_OP = 26;
  private static final int UVMF_INVLPG = 2;
  private static final int DOMID_SELF = 0x7FF0;

  /** Requests that one mmu_update carries at most: about as many as Linux collects. */
  private static final int BATCH = 32;

  private static final int REQUEST_BYTES = 16;
  private static final int CALL_BYTES = 64;
  private static final int HEX_BYTES = 17;

  /** Changes the entry at RDI to RSI at once. */
  final Label writeEntry;

  /** Changes the entry at RDI to RSI at the next flush, or when the batch is full. */
  final Label queueEntry;

  /** Sends the batch. */
  final Label flushEntries;

  /** One mmuext_op with command EDI about the frame at machine address RSI. */
  final Label extended;

  /** In one multicall: page RAX is unmapped, then page RDI is mapped by entry RSI. */
  final Label remapPages;

  private final KernelRuntime kernel;
  private final Assembler a;
  private final Label p2m;
  private final Label refused;
  private final Label operation;
  private final Label batch;
  private final Label batched;
  private final Label entries;
  private final Label digits;

  HypercallCode(KernelRuntime kernel, Label p2m) {
    this.kernel = kernel;
    this.p2m = p2m;
    a = kernel.a;
    writeEntry = a.label();
    queueEntry = a.label();
    flushEntries = a.label();
    extended = a.label();
    remapPages = a.label();
    refused = a.label();
    operation = a.label();
    batch = a.label();
    batched = a.label();
    entries = a.label();
    digits = a.label();
  }

  /** A hypercall whose arguments are in place. */
  void call(int number) {
    a.mov(EAX, number);
    a.syscall();
    a.test(RAX, RAX);
    a.j(Condition.NE, refused);
  }

  /** update_va_mapping of page RDI to entry RSI, with an INVLPG. */
  void updateMapping() {
    a.mov(EDX, UVMF_INVLPG);
    call(UPDATE_VA_MAPPING);
  }

  void emitRoutines() {
    emitEntryRoutines();
    emitExtended();
    emitRemap();
    emitPuts();
    emitPutHex();
    a.bind(refused);
    kernel.fail("the monitor refused a hypercall");
  }

  // ---- tables --------------------------------------------------------------------------------

  private void emitEntryRoutines() {
    Label room = a.label();
    a.align(16);
    a.bind(writeEntry);
    a.call(queueEntry);
    a.jmp(flushEntries);
    a.align(16);
    a.bind(queueEntry);
    // The entry's machine address: its page's, and the offset in it.
    a.mov(RAX, RDI);
    a.shr(RAX, 12);
    a.mov(RCX, Memory.at(p2m));
    a.mov(RAX, Memory.at(RCX, RAX, 8, 0));
    a.shl(RAX, 12);
    a.and(EDI, 0xFFF);
    a.or(RAX, RDI);
    a.mov(RCX, Memory.at(batched));
    a.mov(RDX, RCX);
    a.shl(RDX, 4);
    a.mov(R8, batch);
    a.mov(Memory.at(R8, RDX, 1, 0), RAX);
    a.mov(Memory.at(R8, RDX, 1, 8), RSI);
    a.inc(RCX);
    a.mov(Memory.at(batched), RCX);
    a.cmp(RCX, BATCH);
    a.j(Condition.AE, flushEntries);
    a.bind(room);
    a.ret();
    a.align(16);
    a.bind(flushEntries);
    a.mov(RSI, Memory.at(batched));
    a.test(RSI, RSI);
    a.j(Condition.E, room);
    a.mov(Memory.at(batched).qword(), 0);
    a.mov(RDI, batch);
    a.xor(EDX, EDX);
    a.mov(R10D, DOMID_SELF);
    call(MMU_UPDATE);
    a.ret();
  }

  private void emitExtended() {
    a.align(16);
    a.bind(extended);
    a.shr(RSI, 12);
    a.mov(RCX, operation);
    a.mov(Memory.at(RCX), RDI);
    a.mov(Memory.at(RCX, 8), RSI);
    a.mov(RDI, RCX);
    a.mov(ESI, 1);
    a.xor(EDX, EDX);
    a.mov(R10D, DOMID_SELF);
    call(MMUEXT_OP);
    a.ret();
  }

  /** Only what differs from call to call is written: the rest of the two entries is data. */
  private void emitRemap() {
    a.align(16);
    a.bind(remapPages);
    a.mov(RCX, entries);
    a.mov(Memory.at(RCX, 16), RAX);
    a.mov(Memory.at(RCX, CALL_BYTES + 16), RDI);
    a.mov(Memory.at(RCX, CALL_BYTES + 24), RSI);
    a.mov(RDI, RCX);
    a.mov(ESI, 2);
    call(MULTICALL);
    a.mov(RCX, entries);
    a.mov(RAX, Memory.at(RCX, 8));
    a.or(RAX, Memory.at(RCX, CALL_BYTES + 8));
    a.j(Condition.NE, refused);
    a.ret();
  }

  // ---- console -------------------------------------------------------------------------------

  private void emitPuts() {
    Label print = a.label();
    a.align(16);
    a.bind(kernel.puts);
    a.mov(RDX, RDI);
    a.xor(ESI, ESI);
    Label next = a.labelHere();
    a.cmp(Memory.at(RDX, RSI, 1, 0).byteWide(), 0);
    a.j(Condition.E, print);
    a.inc(RSI);
    a.jmp(next);
    a.bind(print);
    a.xor(EDI, EDI);
    call(CONSOLE_IO);
    a.ret();
  }

  private void emitPutHex() {
    a.align(16);
    a.bind(kernel.putHex);
    a.mov(RDX, digits);
    a.xor(ESI, ESI);
    Label digit = a.labelHere();
    Label decimal = a.label();
    a.rol(RDI, 4);
    a.mov(ECX, EDI);
    a.and(ECX, 15);
    a.add(ECX, '0');
    a.cmp(ECX, '9');
    a.j(Condition.BE, decimal);
    a.add(ECX, 'a' - '9' - 1);
    a.bind(decimal);
    a.mov(Memory.at(RDX, RSI, 1, 0), CL);
    a.inc(RSI);
    a.cmp(RSI, HEX_BYTES - 1);
    a.j(Condition.B, digit);
    a.inc(RSI);
    a.xor(EDI, EDI);
    call(CONSOLE_IO);
    a.ret();
  }

  void emitData() {
    a.bind(batched);
    a.dq(0);
    a.align(16);
    a.bind(batch);
    a.space(BATCH * REQUEST_BYTES);
    a.bind(operation);
    a.dq(0, 0, 0);
    a.bind(entries);
    for (int i = 0; i < 2; i++) {
      a.dq(UPDATE_VA_MAPPING, 0, 0, 0, UVMF_INVLPG, 0, 0, 0);
    }
    a.bind(digits);
    a.space(HEX_BYTES - 1);
    a.db('\n');
  }
}
