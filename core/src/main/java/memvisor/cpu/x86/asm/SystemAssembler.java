package memvisor.cpu.x86.asm;

/** Control transfer, strings, flags and system instructions. */
abstract sealed class SystemAssembler extends IntegerAssembler permits SseAssembler {
  SystemAssembler(long origin) {
    super(origin);
  }

  // ---- control transfer ----------------------------------------------------------------------

  /** JMP: short where the target is known to be near. */
  public final void jmp(Label target) {
    branch(0xEB, 0xE9, target);
  }

  /** Jcc: short where the target is known to be near. */
  public final void j(Condition condition, Label target) {
    branch(0x70 | condition.ordinal(), 0x0F80 | condition.ordinal(), target);
  }

  /** CALL. */
  public final void call(Label target) {
    plain(0xE8, 0);
    emitDistance(bits() == 16 ? 2 : 4, target, 0, 0);
  }

  private void branch(int shortOpcode, int nearOpcode, Label target) {
    if (target.isBound() && target.offset - (size() + 2) >= -128) {
      emitByte(shortOpcode);
      emitDistance(1, target, 0, 0);
    } else {
      plain(nearOpcode, 0);
      emitDistance(bits() == 16 ? 2 : 4, target, 0, 0);
    }
  }

  /** JMP in the two-byte form whatever the direction; the target must be within 127 bytes. */
  public final void jmpShort(Label target) {
    emitByte(0xEB);
    emitDistance(1, target, 0, 0);
  }

  /** Jcc in the two-byte form. */
  public final void jShort(Condition condition, Label target) {
    emitByte(0x70 | condition.ordinal());
    emitDistance(1, target, 0, 0);
  }

  /** LOOP. */
  public final void loop(Label target) {
    emitByte(0xE2);
    emitDistance(1, target, 0, 0);
  }

  /** JRCXZ (JECXZ in 32-bit code). */
  public final void jrcxz(Label target) {
    emitByte(0xE3);
    emitDistance(1, target, 0, 0);
  }

  /** Indirect JMP through a register or memory. */
  public final void jmp(Operand target) {
    instruction(0xFF, 0, 4, target, 0);
  }

  /** Indirect CALL through a register or memory. */
  public final void call(Operand target) {
    instruction(0xFF, 0, 2, target, 0);
  }

  /** Far JMP through memory: offset, then selector; {@code offsetBytes} 2, 4 or 8. */
  public final void jmpFar(Memory target, int offsetBytes) {
    instruction(0xFF, offsetBytes, 5, target, 0);
  }

  /** Far CALL through memory. */
  public final void callFar(Memory target, int offsetBytes) {
    instruction(0xFF, offsetBytes, 3, target, 0);
  }

  /** Far JMP to {@code selector:target} with a 32-bit offset (not in 64-bit code). */
  public final void jmpFar(int selector, Label target) {
    operandSize(4);
    emitByte(0xEA);
    emitAddress(4, target, 0);
    emit(2, selector);
  }

  /** RET. */
  public final void ret() {
    emitByte(0xC3);
  }

  /** RET that removes {@code bytes} of arguments. */
  public final void ret(int bytes) {
    emitByte(0xC2);
    emitImmediate(2, bytes);
  }

  /** RETF with 64-bit operands. */
  public final void retfq() {
    plain(0xCB, 8);
  }

  /** RETF with the default operand size. */
  public final void retf() {
    emitByte(0xCB);
  }

  /** ENTER without nesting. */
  public final void enter(int frameBytes) {
    emitByte(0xC8);
    emitImmediate(2, frameBytes);
    emitByte(0);
  }

  /** LEAVE. */
  public final void leave() {
    emitByte(0xC9);
  }

  // ---- strings and prefixes ------------------------------------------------------------------

  /** The LOCK prefix for the next instruction. */
  public final void lock() {
    emitByte(0xF0);
  }

  /** The REP (REPE) prefix for the next string instruction. */
  public final void rep() {
    emitByte(0xF3);
  }

  /** The REPNE prefix for the next string instruction. */
  public final void repne() {
    emitByte(0xF2);
  }

  /** MOVS of elements of {@code sizeBytes}. */
  public final void movs(int sizeBytes) {
    string(0xA4, sizeBytes);
  }

  /** CMPS. */
  public final void cmps(int sizeBytes) {
    string(0xA6, sizeBytes);
  }

  /** STOS. */
  public final void stos(int sizeBytes) {
    string(0xAA, sizeBytes);
  }

  /** LODS. */
  public final void lods(int sizeBytes) {
    string(0xAC, sizeBytes);
  }

  /** SCAS. */
  public final void scas(int sizeBytes) {
    string(0xAE, sizeBytes);
  }

  private void string(int opcode, int sizeBytes) {
    plain(opcode | (sizeBytes == 1 ? 0 : 1), sizeBytes);
  }

  // ---- flags and simple instructions ---------------------------------------------------------

  /** PUSHF with the default operand size. */
  public final void pushf() {
    emitByte(0x9C);
  }

  /** POPF with the default operand size. */
  public final void popf() {
    emitByte(0x9D);
  }

  /** SAHF. */
  public final void sahf() {
    emitByte(0x9E);
  }

  /** LAHF. */
  public final void lahf() {
    emitByte(0x9F);
  }

  /** CMC. */
  public final void cmc() {
    emitByte(0xF5);
  }

  /** CLC. */
  public final void clc() {
    emitByte(0xF8);
  }

  /** STC. */
  public final void stc() {
    emitByte(0xF9);
  }

  /** CLI. */
  public final void cli() {
    emitByte(0xFA);
  }

  /** STI. */
  public final void sti() {
    emitByte(0xFB);
  }

  /** CLD. */
  public final void cld() {
    emitByte(0xFC);
  }

  /** STD. */
  public final void std() {
    emitByte(0xFD);
  }

  /** NOP of one byte. */
  public final void nop() {
    emitByte(0x90);
  }

  /** NOP with an operand, which is not accessed. */
  public final void nop(Operand operand) {
    instruction(0x0F1F, sizeOf(operand), 0, operand, 0);
  }

  /** PAUSE. */
  public final void pause() {
    plain(0xF300_0090, 0);
  }

  /** ENDBR64. */
  public final void endbr64() {
    plain(0xF30F_1EFA, 0);
  }

  /** HLT. */
  public final void hlt() {
    emitByte(0xF4);
  }

  /** INT3. */
  public final void int3() {
    emitByte(0xCC);
  }

  /** INT n. */
  public final void int_(int vector) {
    emitByte(0xCD);
    emitImmediate(1, vector);
  }

  /** UD2. */
  public final void ud2() {
    plain(0x0F0B, 0);
  }

  /** IRET with 64-bit operands. */
  public final void iretq() {
    plain(0xCF, 8);
  }

  /** IRET with the default operand size. */
  public final void iret() {
    emitByte(0xCF);
  }

  // ---- system --------------------------------------------------------------------------------

  /** SYSCALL. */
  public final void syscall() {
    plain(0x0F05, 0);
  }

  /** SYSRET to 64-bit code. */
  public final void sysretq() {
    plain(0x0F07, 8);
  }

  /** SYSRET to compatibility mode. */
  public final void sysretl() {
    plain(0x0F07, 0);
  }

  /** SWAPGS. */
  public final void swapgs() {
    plain(0x0F01F8, 0);
  }

  /** CLAC. */
  public final void clac() {
    plain(0x0F01CA, 0);
  }

  /** STAC. */
  public final void stac() {
    plain(0x0F01CB, 0);
  }

  /** XGETBV. */
  public final void xgetbv() {
    plain(0x0F01D0, 0);
  }

  /** XSETBV. */
  public final void xsetbv() {
    plain(0x0F01D1, 0);
  }

  /** RDTSCP. */
  public final void rdtscp() {
    plain(0x0F01F9, 0);
  }

  /** RDTSC. */
  public final void rdtsc() {
    plain(0x0F31, 0);
  }

  /** CPUID. */
  public final void cpuid() {
    plain(0x0FA2, 0);
  }

  /** RDMSR. */
  public final void rdmsr() {
    plain(0x0F32, 0);
  }

  /** WRMSR. */
  public final void wrmsr() {
    plain(0x0F30, 0);
  }

  /** CLTS. */
  public final void clts() {
    plain(0x0F06, 0);
  }

  /** WBINVD. */
  public final void wbinvd() {
    plain(0x0F09, 0);
  }

  /** INVLPG. */
  public final void invlpg(Memory at) {
    instruction(0x0F01, 0, 7, at, 0);
  }

  /** INVPCID. */
  public final void invpcid(Register type, Memory descriptor) {
    instruction(0x660F_3882, 0, type, descriptor, 0);
  }

  /** SGDT. */
  public final void sgdt(Memory to) {
    instruction(0x0F01, 0, 0, to, 0);
  }

  /** SIDT. */
  public final void sidt(Memory to) {
    instruction(0x0F01, 0, 1, to, 0);
  }

  /** LGDT. */
  public final void lgdt(Memory from) {
    instruction(0x0F01, 0, 2, from, 0);
  }

  /** LIDT. */
  public final void lidt(Memory from) {
    instruction(0x0F01, 0, 3, from, 0);
  }

  /** SLDT. */
  public final void sldt(Operand to) {
    instruction(0x0F00, 0, 0, to, 0);
  }

  /** STR. */
  public final void str(Operand to) {
    instruction(0x0F00, 0, 1, to, 0);
  }

  /** LLDT. */
  public final void lldt(Operand from) {
    instruction(0x0F00, 0, 2, from, 0);
  }

  /** LTR. */
  public final void ltr(Operand from) {
    instruction(0x0F00, 0, 3, from, 0);
  }

  /** SMSW. */
  public final void smsw(Operand to) {
    instruction(0x0F01, 0, 4, to, 0);
  }

  /** LMSW. */
  public final void lmsw(Operand from) {
    instruction(0x0F01, 0, 6, from, 0);
  }

  /** RDFSBASE. */
  public final void rdfsbase(Register to) {
    instruction(0xF300_0FAE, to.sizeBytes, 0, to, 0);
  }

  /** RDGSBASE. */
  public final void rdgsbase(Register to) {
    instruction(0xF300_0FAE, to.sizeBytes, 1, to, 0);
  }

  /** WRFSBASE. */
  public final void wrfsbase(Register from) {
    instruction(0xF300_0FAE, from.sizeBytes, 2, from, 0);
  }

  /** WRGSBASE. */
  public final void wrgsbase(Register from) {
    instruction(0xF300_0FAE, from.sizeBytes, 3, from, 0);
  }

  /** IN from port DX into AL, AX or EAX. */
  public final void in(Register accumulator) {
    plain(accumulator.sizeBytes == 1 ? 0xEC : 0xED, accumulator.sizeBytes);
  }

  /** IN from a fixed port. */
  public final void in(Register accumulator, int port) {
    plain(accumulator.sizeBytes == 1 ? 0xE4 : 0xE5, accumulator.sizeBytes);
    emitImmediate(1, port);
  }

  /** OUT to port DX. */
  public final void out(Register accumulator) {
    plain(accumulator.sizeBytes == 1 ? 0xEE : 0xEF, accumulator.sizeBytes);
  }

  /** OUT to a fixed port. */
  public final void out(int port, Register accumulator) {
    plain(accumulator.sizeBytes == 1 ? 0xE6 : 0xE7, accumulator.sizeBytes);
    emitImmediate(1, port);
  }

  /** INS. */
  public final void ins(int sizeBytes) {
    string(0x6C, sizeBytes);
  }

  /** OUTS. */
  public final void outs(int sizeBytes) {
    string(0x6E, sizeBytes);
  }

  /** LFENCE. */
  public final void lfence() {
    plain(0x0FAEE8, 0);
  }

  /** MFENCE. */
  public final void mfence() {
    plain(0x0FAEF0, 0);
  }

  /** SFENCE. */
  public final void sfence() {
    plain(0x0FAEF8, 0);
  }

  /** CLFLUSH. */
  public final void clflush(Memory at) {
    instruction(0x0FAE, 0, 7, at, 0);
  }
}
