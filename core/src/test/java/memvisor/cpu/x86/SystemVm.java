package memvisor.cpu.x86;

import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.paging.PagingState;
import memvisor.testing.TestMachine;
import memvisor.tlb.TranslationUnit;

/**
 * A bare processor on a partition that is not where its guest-physical addresses say, with a GDT,
 * an IDT whose handlers all halt, a TSS and page tables. A test pokes, runs, and sees by the
 * handler's address which vector was delivered, and by the stack what was pushed.
 */
final class SystemVm {
  static final int SIZE_BYTES = 4 << 20;
  private static final long PARTITION_HPA = 1 << 20;

  static final int GDT = 0x1000;
  static final int IDT = 0x2000;
  static final int TSS = 0x3000;
  static final int LDT = 0x4000;
  static final int PML4 = 0x8000;
  static final int PDPT = 0x9000;
  static final int PD = 0xA000;

  /** Page table of 0x200000–0x3FFFFF, 4 KiB pages, user and writable. */
  static final int PT = 0xB000;

  static final int CODE = 0x10000;
  static final int STACK = 0x24000;
  static final int STACK0 = 0x28000;
  static final int IST1 = 0x2A000;
  static final int USER_STACK = 0x2F000;
  static final int HANDLERS = 0x30000;
  static final int GATE_TARGET = 0x38000;

  /** A page that a test may unmap. */
  static final int SPARE = 0x300000;

  static final int CODE64 = 0x08;
  static final int DATA = 0x10;
  static final int CODE32 = 0x18;
  static final int USER_CODE32 = 0x23;
  static final int USER_DATA = 0x2B;
  static final int USER_CODE64 = 0x33;
  static final int TSS_SELECTOR = 0x38;
  static final int CONFORMING64 = 0x48;
  static final int ABSENT_DATA = 0x50;
  static final int CODE16 = 0x58;
  static final int CALL_GATE = 0x60;
  static final int LDT_SELECTOR = 0x70;
  static final int EXECUTE_ONLY = 0x80;
  static final int READ_ONLY = 0x88;
  static final int ABSENT_CODE = 0x90;
  static final int BOTH_SIZES = 0x98;
  static final int DATA16 = 0xA0;
  static final int GDT_LIMIT = 0xA7;

  final TestMachine machine = new TestMachine(8 << 20);
  final FakeMonitor monitor = new FakeMonitor();
  final Vcpu c;

  private SystemVm() {
    PagingState paging = new PagingState();
    TranslationUnit unit = new TranslationUnit(machine.memory(), paging);
    unit.partition(PARTITION_HPA, SIZE_BYTES);
    c = new Vcpu(machine.memory(), unit, monitor);
    unit.setListener(c);
  }

  // ---- set-up ------------------------------------------------------------------------------

  /** 64-bit code at privilege level 0, at {@link #CODE}, with its stack at {@link #STACK}. */
  static SystemVm longMode() {
    SystemVm vm = new SystemVm();
    vm.descriptors();
    vm.pageTables();
    for (int vector = 0; vector < 256; vector++) {
      vm.gate64(vector, CODE64, HANDLERS + 16 * vector, 0x8E00);
      vm.write8(HANDLERS + 16 * vector, 0xF4);
    }
    vm.write64(TSS + 4, STACK0);
    vm.write64(TSS + 36, IST1);
    RegisterFile r = vm.tables();
    r.set(RegisterName.CR4, PagingState.CR4_PAE | PagingState.CR4_PGE);
    r.set(RegisterName.CR3, PML4);
    r.set(RegisterName.EFER, 0xD01);
    r.set(RegisterName.CR0, 0x8001_0033L);
    vm.segments(SegmentState.code64(CODE64), SegmentState.data(DATA));
    return vm;
  }

  /** 32-bit code at privilege level 0, without paging. */
  static SystemVm protectedMode() {
    SystemVm vm = new SystemVm();
    vm.descriptors();
    for (int vector = 0; vector < 256; vector++) {
      vm.gate32(vector, CODE32, HANDLERS + 16 * vector, 0x8E00);
      vm.write8(HANDLERS + 16 * vector, 0xF4);
    }
    vm.write32(TSS + 4, STACK0);
    vm.write32(TSS + 8, DATA);
    RegisterFile r = vm.tables();
    r.set(RegisterName.CR0, 0x33);
    vm.segments(SegmentState.code32(CODE32), SegmentState.data(DATA));
    return vm;
  }

  /** Real mode at {@code 0:CODE & 0xFFFF}, vectors at 0 leading to {@code 0:0x8000 + 16 * n}. */
  static SystemVm realMode() {
    SystemVm vm = new SystemVm();
    for (int vector = 0; vector < 256; vector++) {
      vm.write32(4 * vector, 0x8000 + 16 * vector);
      vm.write8(0x8000 + 16 * vector, 0xF4);
    }
    vm.c.registers().setSegment(SegmentName.CS, new SegmentState(0, 0, 0xFFFF, 0x9B));
    vm.c.registers().set(RegisterName.RIP, 0x7000);
    vm.c.registers().set(RegisterName.RSP, 0x6000);
    return vm;
  }

  private RegisterFile tables() {
    RegisterFile r = c.registers();
    r.set(RegisterName.GDTR_BASE, GDT);
    r.set(RegisterName.GDTR_LIMIT, GDT_LIMIT);
    r.set(RegisterName.IDTR_BASE, IDT);
    r.set(RegisterName.IDTR_LIMIT, 0xFFF);
    r.set(RegisterName.RIP, CODE);
    r.set(RegisterName.RSP, STACK);
    return r;
  }

  private void segments(SegmentState code, SegmentState data) {
    RegisterFile r = c.registers();
    r.setSegment(SegmentName.CS, code);
    for (SegmentName name :
        new SegmentName[] {SegmentName.ES, SegmentName.SS, SegmentName.DS, SegmentName.FS}) {
      r.setSegment(name, data);
    }
    r.setSegment(SegmentName.GS, data);
    r.setSegment(SegmentName.TR, SegmentState.tss(TSS_SELECTOR, TSS, 0x67));
    r.setSegment(SegmentName.LDTR, SegmentState.none());
  }

  private void descriptors() {
    write8(GATE_TARGET, 0xF4);
    write32(TSS + 100, 104 << 16);
    descriptor(CODE64, 0, 0xFFFFF, 0xA09B);
    descriptor(DATA, 0, 0xFFFFF, 0xC093);
    descriptor(CODE32, 0, 0xFFFFF, 0xC09B);
    descriptor(USER_CODE32, 0, 0xFFFFF, 0xC0FB);
    descriptor(USER_DATA, 0, 0xFFFFF, 0xC0F3);
    descriptor(USER_CODE64, 0, 0xFFFFF, 0xA0FB);
    descriptor(TSS_SELECTOR, TSS, 0x67, 0x0089);
    descriptor(CONFORMING64, 0, 0xFFFFF, 0xA09F);
    descriptor(ABSENT_DATA, 0, 0xFFFFF, 0xC013);
    descriptor(CODE16, 0, 0xFFFF, 0x009B);
    callGate(0xEC00, CODE64);
    descriptor(LDT_SELECTOR, LDT, 0xFF, 0x0082);
    descriptor(EXECUTE_ONLY, 0, 0xFFFFF, 0xA099);
    descriptor(READ_ONLY, 0, 0xFFFFF, 0xC091);
    descriptor(ABSENT_CODE, 0, 0xFFFFF, 0xA01B);
    descriptor(BOTH_SIZES, 0, 0xFFFFF, 0xE09B);
    descriptor(DATA16, 0, 0xFFFF, 0x0093);
  }

  /** Writes the descriptor that a selector names; attributes as {@link SegmentState} has them. */
  void descriptor(int selector, long base, int limit, int attributes) {
    long raw =
        limit & 0xFFFFL
            | (base & 0xFF_FFFF) << 16
            | (long) attributes << 40
            | (limit & 0xF_0000L) << 32
            | (base & 0xFF00_0000L) << 32;
    write64(GDT + (selector & ~7), raw);
  }

  /** A call gate to {@link #GATE_TARGET}; {@code type} is the word above the offset's low half. */
  void callGate(int type, int selector) {
    write64(
        GDT + CALL_GATE,
        GATE_TARGET & 0xFFFF
            | (long) selector << 16
            | (long) type << 32
            | (GATE_TARGET & 0xFFFF_0000L) << 32);
    write64(GDT + CALL_GATE + 8, 0);
  }

  /** A 64-bit gate; {@code type} is the word with P, DPL, type and IST. */
  void gate64(int vector, int selector, long offset, int type) {
    write64(
        IDT + 16 * vector,
        offset & 0xFFFF
            | (long) selector << 16
            | (long) type << 32
            | (offset & 0xFFFF_0000L) << 32);
    write64(IDT + 16 * vector + 8, offset >>> 32);
  }

  void gate32(int vector, int selector, long offset, int type) {
    write64(
        IDT + 8 * vector,
        offset & 0xFFFF
            | (long) selector << 16
            | (long) type << 32
            | (offset & 0xFFFF_0000L) << 32);
  }

  private void pageTables() {
    write64(PML4, PDPT | 7);
    write64(PML4 + 8 * 511, PDPT | 7);
    write64(PDPT, PD | 7);
    write64(PD, 0x87);
    write64(PD + 8, PT | 7);
    for (int i = 0; i < 512; i++) {
      write64(PT + 8 * i, 0x200000 + 4096L * i | 7);
    }
  }

  /** Makes one 4 KiB page of 0x200000–0x3FFFFF not present, before anything is cached. */
  void unmap(int gva) {
    write64(PT + 8 * (gva - 0x200000 >>> 12), 0);
    c.unit.invalidatePage(gva);
  }

  // ---- memory ------------------------------------------------------------------------------

  void write64(long gpa, long value) {
    machine.write(PARTITION_HPA + gpa, value);
  }

  void write32(long gpa, int value) {
    machine.write32(PARTITION_HPA + gpa, value);
  }

  void write8(long gpa, int value) {
    machine.write(PARTITION_HPA + gpa, new byte[] {(byte) value});
  }

  long read64(long gpa) {
    return machine.read(PARTITION_HPA + gpa);
  }

  long read32(long gpa) {
    return read64(gpa) & 0xFFFF_FFFFL;
  }

  // ---- running -----------------------------------------------------------------------------

  long get(RegisterName name) {
    return c.registers().get(name);
  }

  void set(RegisterName name, long value) {
    c.registers().set(name, value);
  }

  int selector(SegmentName name) {
    return c.registers().segment(name).selector();
  }

  /** Puts a program where RIP points, in the width of the code segment. */
  SystemVm program(Consumer<Assembler> body) {
    Assembler a = new Assembler(c.rip);
    switch (c.registers().codeBits()) {
      case 64 -> a.code64();
      case 32 -> a.code32();
      default -> a.code16();
    }
    body.accept(a);
    machine.write(PARTITION_HPA + c.rip, a.assemble());
    return this;
  }

  RunExit run() {
    return c.run(1000);
  }

  RunExit run(Consumer<Assembler> body) {
    return program(body).run();
  }

  /** The vector whose handler the processor halted in, -1 if it halted elsewhere. */
  int vector() {
    long handlers = c.protectedMode ? HANDLERS : 0x8000;
    long offset = c.rip - 1 - handlers;
    return c.halted && offset >= 0 && offset < 4096 && offset % 16 == 0 ? (int) offset / 16 : -1;
  }

  /** The 64-bit value {@code index} above the stack pointer. */
  long stack(int index) {
    return read64(get(RegisterName.RSP) + 8L * index);
  }

  /** The 32-bit value {@code index} above the stack pointer. */
  long stack32(int index) {
    return read32(get(RegisterName.RSP) + 4L * index);
  }

  /** Enters 64-bit user mode at {@link #CODE}. */
  SystemVm user() {
    c.registers().setSegment(SegmentName.SS, new SegmentState(USER_DATA, 0, -1, 0xC0F3));
    c.registers().setSegment(SegmentName.CS, new SegmentState(USER_CODE64, 0, -1, 0xA0FB));
    set(RegisterName.RSP, USER_STACK);
    return this;
  }

  /** Enters 32-bit user mode: compatibility mode in long mode. */
  SystemVm user32() {
    user();
    c.registers().setSegment(SegmentName.CS, new SegmentState(USER_CODE32, 0, -1, 0xC0FB));
    return this;
  }
}
