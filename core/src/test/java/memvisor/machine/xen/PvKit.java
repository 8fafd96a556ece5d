package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.EDX;
import static memvisor.cpu.x86.asm.Register.R10;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.R13;
import static memvisor.cpu.x86.asm.Register.R8;
import static memvisor.cpu.x86.asm.Register.R9;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Operand;
import memvisor.cpu.x86.asm.Register;

/**
 * What small PV kernels share: hypercalls with their arguments, traps that are caught and looked
 * at, finding frames and page-table entries, a user mode, and lines of results on the console.
 *
 * <p>A result line is {@code @name value value …} in hexadecimal. Nothing depends on where the
 * domain builder put things, so that the same image runs under Xen.
 */
final class PvKit {
  static final int DOMID_SELF = 0x7FF0;
  static final long M2P = 0xFFFF_8000_0000_0000L;

  /** Pages of the guest's own, one after another and page-aligned. */
  static final int PAGES = 32;

  private static final int START_INFO_MFN_LIST = 104;
  private static final int START_INFO_PT_BASE = 88;
  private static final int RESULTS = 12;
  private static final int FRAME_WORDS = 10;
  private static final int RAW_WORDS = 12;

  /** Where user mode has its page of code and the end of its stack. */
  static final long USER_CODE = 0x40_0000;

  static final long USER_STACK = 0x40_1FF8;

  /** Pages of the user's: four tables, code, stack. */
  private static final int USER_PAGES = 16;

  private static final int USER_CODE_BYTES = 128;
  private static final int WITH_ERROR_CODE = 0x27D00;
  private static final int VECTORS = 20;

  /** Words of a caught frame, whether or not the vector has an error code. */
  enum Frame {
    RCX,
    R11,
    ERROR,
    RIP,
    CS,
    RFLAGS,
    RSP,
    SS
  }

  final Assembler a;
  final Label startInfo;
  private final Label results;
  private final Label frame;
  private final Label raw;
  private final Label vector;
  private final Label resume;
  private final Label savedRsp;
  private final Label line;
  private final Label reportRoutine;
  private final Label leafRoutine;
  private final Label pages;
  private int pending;

  /** Starts a kernel: RSI holds start_info. */
  PvKit(Assembler a) {
    this.a = a;
    startInfo = a.label();
    results = a.label();
    frame = a.label();
    raw = a.label();
    vector = a.label();
    resume = a.label();
    savedRsp = a.label();
    line = a.label();
    reportRoutine = a.label();
    leafRoutine = a.label();
    pages = a.label();
    a.mov(Memory.at(startInfo), RSI);
  }

  // ---- calls ---------------------------------------------------------------------------------

  /** A hypercall; an argument is a number, a label (its address), memory or a register. */
  void call(int number, Object... arguments) {
    Register[] order = {RDI, RSI, RDX, R10, R8, R9};
    for (int i = 0; i < arguments.length; i++) {
      load(order[i], arguments[i]);
    }
    a.mov(EAX, number);
    a.syscall();
  }

  /** Loads a register with a number, a label's address, memory or another register. */
  void load(Register to, Object value) {
    switch (value) {
      case Number n -> a.mov(to, n.longValue());
      case Label l -> a.lea(to, Memory.at(l));
      case Operand o -> a.mov(to, o);
      default -> throw new IllegalArgumentException("value=" + value);
    }
  }

  /** 64-bit words in the middle of the code; labels stand for their addresses. */
  Label words(Object... values) {
    Label at = a.label();
    Label over = a.label();
    a.jmp(over);
    a.align(16);
    a.bind(at);
    for (Object value : values) {
      if (value instanceof Label l) {
        a.dq(l, 0);
      } else {
        a.dq(((Number) value).longValue());
      }
    }
    a.bind(over);
    return at;
  }

  // ---- results -------------------------------------------------------------------------------

  /** Adds a value to the line of results; clobbers nothing. */
  void result(Register value) {
    a.mov(Memory.at(results).plus(8 * pending++), value);
  }

  /** Adds a 64-bit word of memory; clobbers RAX. */
  void resultWord(Memory value) {
    a.mov(RAX, value);
    result(RAX);
  }

  /** Adds a 32-bit word of memory; clobbers RAX. */
  void resultHalf(Memory value) {
    a.mov(EAX, value);
    result(RAX);
  }

  /** A hypercall whose answer is a result. */
  void answer(int number, Object... arguments) {
    call(number, arguments);
    result(RAX);
  }

  /** Ends the line of results and prints it. */
  void report(String name) {
    Label text = a.label();
    Label over = a.label();
    if (pending > RESULTS) {
      throw new IllegalStateException("results=" + pending);
    }
    a.jmp(over);
    a.bind(text);
    a.ascii("@" + name);
    a.bind(over);
    a.lea(RSI, Memory.at(text));
    a.mov(ECX, name.length() + 1);
    a.mov(EDX, pending);
    a.call(reportRoutine);
    pending = 0;
  }

  // ---- traps ---------------------------------------------------------------------------------

  /** Installs handlers for the processor's exceptions and for INT 80h. */
  void installTraps() {
    Label table = a.label();
    Label over = a.label();
    Label[] handlers = new Label[VECTORS];
    Label system = a.label();
    a.jmp(over);
    for (int v = 0; v < VECTORS; v++) {
      handlers[v] = a.labelHere();
      boolean withCode = (WITH_ERROR_CODE >>> v & 1) != 0;
      catchFrame(v, withCode);
    }
    a.bind(system);
    catchFrame(0x80, false);
    a.align(16);
    a.bind(table);
    for (int v = 0; v < VECTORS; v++) {
      // INT3 and INTO may be used by user mode too.
      trapEntry(v, v == 3 || v == 4 ? 3 : 0, handlers[v]);
    }
    trapEntry(0x80, 3, system);
    a.dq(0, 0);
    a.bind(over);
    call(Hypercalls.SET_TRAP_TABLE, table);
  }

  private void trapEntry(int v, int flags, Label handler) {
    a.db(v, flags, 0x33, 0xE0, 0, 0, 0, 0);
    a.dq(handler, 0);
  }

  /** Keeps the frame on the stack, and goes on where {@link #caught} said. */
  void catchFrame(int number, boolean withCode) {
    a.mov(Memory.at(vector).qword(), number);
    a.mov(Memory.at(frame).plus(8 * Frame.ERROR.ordinal()).qword(), 0);
    for (int i = 0; i < Frame.values().length; i++) {
      if (withCode || i != Frame.ERROR.ordinal()) {
        int from = withCode || i < Frame.ERROR.ordinal() ? i : i - 1;
        a.mov(RAX, Memory.at(RSP, 8 * from));
        a.mov(Memory.at(frame).plus(8 * i), RAX);
      }
    }
    a.mov(Memory.at(frame).plus(8 * 8), RSP);
    a.mov(RSP, Memory.at(savedRsp));
    a.jmp(Memory.at(resume).qword());
  }

  /** Keeps the stack as it is, word by word: another kind of frame. */
  void catchRaw(int number) {
    a.mov(Memory.at(vector).qword(), number);
    for (int i = 0; i < RAW_WORDS; i++) {
      a.mov(RAX, Memory.at(RSP, 8 * i));
      a.mov(Memory.at(raw).plus(8 * i), RAX);
    }
    a.mov(RSP, Memory.at(savedRsp));
    a.jmp(Memory.at(resume).qword());
  }

  /** A word of what {@link #catchRaw} kept. */
  Memory rawWord(int index) {
    return Memory.at(raw).plus(8 * index);
  }

  /** A handler out of line that keeps a frame as {@code number}. */
  Label handler(int number) {
    Label over = a.label();
    a.jmp(over);
    Label at = a.labelHere();
    catchFrame(number, false);
    a.bind(over);
    return at;
  }

  /** Runs code that may trap; the vector, or all ones, is the next result. */
  void caught(Runnable body) {
    caught(body, a.label());
  }

  /** The same; {@code at} names the instruction that the saved RIP is to be compared with. */
  void caught(Runnable body, Label at) {
    expect(at);
    body.run();
    land();
    a.mov(RAX, Memory.at(vector));
    result(RAX);
  }

  private final java.util.ArrayDeque<Label> landing = new java.util.ArrayDeque<>();

  /** From here on a trap goes to {@link #land}; {@code at} is bound here. */
  void expect(Label at) {
    Label back = a.label();
    landing.push(back);
    a.mov(Memory.at(vector).qword(), -1);
    a.lea(RAX, Memory.at(back));
    a.mov(Memory.at(resume), RAX);
    a.mov(Memory.at(savedRsp), RSP);
    a.bind(at);
  }

  /** Where a caught trap goes on. */
  void land() {
    a.bind(landing.pop());
  }

  /** Adds a word of the caught frame. */
  void resultFrame(Frame word) {
    resultWord(word(word));
  }

  /** The vector caught last, all ones if none was. */
  Memory caughtVector() {
    return Memory.at(vector);
  }

  Memory word(Frame word) {
    return Memory.at(frame).plus(8 * word.ordinal());
  }

  /** The stack pointer inside the handler. */
  Memory handlerRsp() {
    return Memory.at(frame).plus(8 * 8);
  }

  /** Adds the saved RIP less the address of a label. */
  void resultRip(Label at) {
    a.mov(RAX, word(Frame.RIP));
    a.lea(RCX, Memory.at(at));
    a.sub(RAX, RCX);
    result(RAX);
  }

  // ---- frames and tables ---------------------------------------------------------------------

  /** Page {@code index} of the guest's own, as a memory operand. */
  Memory page(int index) {
    return Memory.at(pages).plus(4096 * index);
  }

  /** The machine frame of one of the guest's own pages; clobbers RAX and RCX. */
  void mfnOfPage(Register to, int index) {
    a.lea(RAX, page(index));
    mfnOfRax(to);
  }

  /** The machine frame behind the address in RAX; clobbers RCX. */
  void mfnOfRax(Register to) {
    a.mov(RCX, PvGuest.VIRT_BASE);
    a.sub(RAX, RCX);
    a.shr(RAX, 12);
    a.mov(RCX, Memory.at(startInfo));
    a.mov(RCX, Memory.at(RCX, START_INFO_MFN_LIST));
    a.mov(to, Memory.at(RCX, RAX, 8, 0));
  }

  /**
   * Finds the L1 entry of an address: its own address in RAX, its machine address in RDX; clobbers
   * RBX, RCX, RSI and RDI.
   */
  void leafOf(Object gva) {
    load(RDI, gva);
    a.call(leafRoutine);
  }

  /** The same for one of the guest's own pages. */
  void leafOfPage(int index) {
    a.lea(RDI, page(index));
    a.call(leafRoutine);
  }

  /** Changes how one of the guest's own pages is mapped; clobbers what hypercalls do. */
  void mapPage(int index, long flags) {
    mfnOfPage(RSI, index);
    a.shl(RSI, 12);
    a.mov(RCX, flags);
    a.or(RSI, RCX);
    a.lea(RDI, page(index));
    call(Hypercalls.UPDATE_VA_MAPPING, RDI, RSI, 2);
  }

  /** One mmuext_op with its first argument in a register; the answer is in RAX. */
  void extended(int command, Register first, Object second) {
    Label operation = words(command, 0, 0);
    a.mov(Memory.at(operation).plus(8), first);
    load(RAX, second);
    a.mov(Memory.at(operation).plus(16), RAX);
    call(Hypercalls.MMUEXT_OP, operation, 1, 0, DOMID_SELF);
  }

  /** One mmu_update; the answer is in RAX. */
  void update(Register pointer, Register value) {
    Label request = words(0, 0);
    a.mov(Memory.at(request), pointer);
    a.mov(Memory.at(request).plus(8), value);
    call(Hypercalls.MMU_UPDATE, request, 1, 0, DOMID_SELF);
  }

  // ---- user mode -----------------------------------------------------------------------------

  /** Builds the user's tables and hands them over. */
  void installUser() {
    long table = 0x67;
    link(USER_PAGES, 0, USER_PAGES + 1, table);
    link(USER_PAGES + 1, 0, USER_PAGES + 2, table);
    link(USER_PAGES + 2, 2, USER_PAGES + 3, table);
    link(USER_PAGES + 3, 0, USER_PAGES + 4, 0x25);
    link(USER_PAGES + 3, 1, USER_PAGES + 5, table);
    for (int i = 0; i < 4; i++) {
      mapPage(USER_PAGES + i, 0x61);
    }
    mfnOfPage(R13, USER_PAGES);
    extended(3, R13, 0);
    result(RAX);
    extended(15, R13, 0);
    result(RAX);
    call(Hypercalls.STACK_SWITCH, 0xE02B, kernelStack());
    result(RAX);
  }

  /** The end of the page that is the kernel's stack when user mode traps. */
  Register kernelStack() {
    a.lea(R12, page(USER_PAGES + 7));
    return R12;
  }

  private void link(int table, int index, int to, long flags) {
    mfnOfPage(RBX, to);
    a.shl(RBX, 12);
    a.or(RBX, flags);
    a.mov(page(table).plus(8 * index), RBX);
  }

  /** Runs code in user mode, which must trap; the vector is the next result. */
  void user(Runnable code) {
    user(code, 0x202, 0);
  }

  /** The same with RFLAGS and the flags of the frame of iret. */
  void user(Runnable code, long rflags, long flags) {
    Label from = a.label();
    Label over = a.label();
    a.jmp(over);
    a.bind(from);
    code.run();
    a.space(USER_CODE_BYTES);
    a.bind(over);
    a.cld();
    a.lea(RSI, Memory.at(from));
    a.lea(RDI, page(USER_PAGES + 4));
    a.mov(ECX, USER_CODE_BYTES);
    a.rep();
    a.movs(1);
    caught(() -> interruptReturn(flags, USER_CODE, 0xE033, rflags, USER_STACK, 0xE02B));
  }

  /** HYPERVISOR_iret to a place; RAX, RCX and R11 will be 0xA, 0xC and 0xB. */
  void interruptReturn(
      long flags, Object rip, int codeSelector, long rflags, Object rsp, int stackSelector) {
    load(RBX, rsp);
    load(RDX, rip);
    a.mov(RAX, stackSelector);
    a.push(RAX);
    a.push(RBX);
    a.mov(RAX, rflags);
    a.push(RAX);
    a.mov(RAX, codeSelector);
    a.push(RAX);
    a.push(RDX);
    a.mov(RAX, flags);
    a.push(RAX);
    a.push(0xC);
    a.push(0xB);
    a.push(0xA);
    a.mov(EAX, Hypercalls.IRET);
    a.syscall();
  }

  // ---- the end -------------------------------------------------------------------------------

  /** Prints that the end was reached, and ends. */
  void finish(int reason) {
    report("end");
    PvGuest.shutDown(a, reason);
  }

  /** Routines and data; after all code. */
  void emitRoutines() {
    emitReport();
    emitLeaf();
    a.align(16);
    a.bind(startInfo);
    a.space(8);
    a.bind(results);
    a.space(8 * RESULTS);
    a.bind(frame);
    a.space(8 * FRAME_WORDS);
    a.bind(raw);
    a.space(8 * RAW_WORDS);
    a.bind(vector);
    a.space(8);
    a.bind(resume);
    a.space(8);
    a.bind(savedRsp);
    a.space(8);
    a.bind(line);
    a.space(512);
    a.align(4096);
    a.bind(pages);
    a.space(4096 * PAGES);
  }

  /** RSI, ECX: the name; EDX: how many results. */
  private void emitReport() {
    a.bind(reportRoutine);
    a.cld();
    a.lea(RDI, Memory.at(line));
    a.rep();
    a.movs(1);
    a.lea(RBX, Memory.at(results));
    Label nextValue = a.label();
    Label done = a.label();
    Label digit = a.label();
    Label decimal = a.label();
    a.bind(nextValue);
    a.test(EDX, EDX);
    a.j(Condition.E, done);
    a.mov(Memory.at(RDI).byteWide(), ' ');
    a.add(RDI, 1);
    a.mov(R8, Memory.at(RBX));
    a.add(RBX, 8);
    a.mov(ECX, 16);
    a.bind(digit);
    a.rol(R8, 4);
    a.mov(RAX, R8);
    a.and(EAX, 15);
    a.add(EAX, '0');
    a.cmp(EAX, '9');
    a.j(Condition.BE, decimal);
    a.add(EAX, 'a' - '9' - 1);
    a.bind(decimal);
    a.stos(1);
    a.dec(ECX);
    a.j(Condition.NE, digit);
    a.dec(EDX);
    a.jmp(nextValue);
    a.bind(done);
    a.mov(Memory.at(RDI).byteWide(), '\n');
    a.add(RDI, 1);
    a.lea(RDX, Memory.at(line));
    a.mov(RSI, RDI);
    a.sub(RSI, RDX);
    a.mov(RDI, 0);
    a.mov(EAX, Hypercalls.CONSOLE_IO);
    a.syscall();
    a.ret();
  }

  /** Walks the bootstrap tables by way of the machine-to-physical table. */
  private void emitLeaf() {
    a.bind(leafRoutine);
    a.mov(RCX, Memory.at(startInfo));
    a.mov(RSI, Memory.at(RCX, START_INFO_PT_BASE));
    a.mov(R8, M2P);
    a.mov(R9, 0xF_FFFF_FFFF_F000L);
    for (int shift = 39; shift > 12; shift -= 9) {
      a.mov(RAX, RDI);
      a.shr(RAX, shift);
      a.and(EAX, 511);
      a.mov(RDX, Memory.at(RSI, RAX, 8, 0));
      a.and(RDX, R9);
      a.mov(RSI, RDX);
      a.shr(RSI, 12);
      a.mov(RSI, Memory.at(R8, RSI, 8, 0));
      a.shl(RSI, 12);
      a.mov(RBX, PvGuest.VIRT_BASE);
      a.add(RSI, RBX);
    }
    a.mov(RAX, RDI);
    a.shr(RAX, 12);
    a.and(EAX, 511);
    a.lea(RDX, Memory.at(RDX, RAX, 8, 0));
    a.lea(RAX, Memory.at(RSI, RAX, 8, 0));
    a.ret();
  }
}
