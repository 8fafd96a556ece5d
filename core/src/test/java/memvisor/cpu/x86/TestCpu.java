package memvisor.cpu.x86;

import java.util.Arrays;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.memory.Hva;
import memvisor.paging.PagingState;
import memvisor.testing.TestMachine;
import memvisor.tlb.TranslationUnit;

/**
 * A processor with 8 MiB of memory in a partition, for tests: 64-bit mode, CPL 0, identity-mapped
 * by 4 KiB pages that a test may change, an IDT whose handlers are HLTs told apart by address.
 */
final class TestCpu {
  static final long MEMORY_BYTES = 8 << 20;

  /** Where programs are assembled and start. */
  static final long CODE = 0x10_0000;

  /** Free memory for data. */
  static final long DATA = 0x20_0000;

  /** Top of the stack. */
  static final long STACK = 0x30_0000;

  static final long PML4 = 0x1000;
  static final long PDPT = 0x2000;
  static final long PD = 0x3000;

  /** The page tables of the first 16 MiB, one after another. */
  static final long PT = 0x10_000;

  static final long GDT = 0x4000;
  static final long IDT = 0x5000;

  /** Handler of vector n: a HLT at HANDLERS + 16 n. */
  static final long HANDLERS = 0x8000;

  static final int CODE_SELECTOR = 8;
  static final int DATA_SELECTOR = 16;

  private static final int PAGES = 4096;

  final TestMachine machine = new TestMachine(16 << 20);
  final long baseHpa = 4 << 20;
  final TestMonitor monitor;
  final TranslationUnit unit = new TranslationUnit(machine.memory(), new PagingState());
  final Vcpu c;

  TestCpu() {
    this(new TestMonitor());
  }

  TestCpu(TestMonitor monitor) {
    this.monitor = monitor;
    c = new Vcpu(machine.memory(), unit, monitor);
    unit.partition(baseHpa, MEMORY_BYTES);
    unit.setListener(c);
    buildTables();
    buildDescriptors();
    c.paging.setCr3(PML4);
    c.paging.setCr4(PagingState.CR4_PAE | 1 << 9 | 1 << 10);
    c.paging.setEfer(PagingState.EFER_LME | PagingState.EFER_LMA | PagingState.EFER_NXE);
    c.paging.setCr0(PagingState.CR0_PG | PagingState.CR0_WP | PagingState.CR0_PE);
    unit.controlsChanged();
    c.longMode = true;
    c.protectedMode = true;
    setSegments(0xA09B, 0xC093);
    c.rip = CODE;
    Arrays.fill(c.gpr, 0); // RDX holds the model after reset
    c.gpr[Vcpu.RSP] = STACK;
  }

  /** Code and data attributes of flat segments. */
  void setSegments(int code, int data) {
    for (int s = Vcpu.ES; s <= Vcpu.GS; s++) {
      c.segmentAttributes[s] = s == Vcpu.CS ? code : data;
      c.segmentSelector[s] = s == Vcpu.CS ? CODE_SELECTOR : DATA_SELECTOR;
      c.segmentBase[s] = 0;
      c.segmentLimit[s] = -1;
    }
  }

  /** 32-bit protected mode without paging. */
  TestCpu protectedMode32() {
    c.paging.setCr0(PagingState.CR0_PE);
    c.paging.setEfer(0);
    c.paging.setCr4(0);
    unit.controlsChanged();
    c.longMode = false;
    c.default32 = true;
    setSegments(0xC09B, 0xC093);
    return this;
  }

  /** Real mode. */
  TestCpu realMode() {
    protectedMode32();
    c.paging.setCr0(0);
    unit.controlsChanged();
    c.protectedMode = false;
    c.default32 = false;
    setSegments(0x009B, 0x0093);
    return this;
  }

  private void buildTables() {
    write(PML4, PDPT | 7);
    write(PDPT, PD | 7);
    for (int n = 0; n < PAGES / 512; n++) {
      write(PD + 8 * n, PT + 4096 * n | 7);
    }
    for (int n = 0; n < PAGES; n++) {
      write(PT + 8 * n, (long) n << 12 | 7);
    }
  }

  private void buildDescriptors() {
    write(GDT + CODE_SELECTOR, 0x00AF_9B00_0000_FFFFL);
    write(GDT + DATA_SELECTOR, 0x00CF_9300_0000_FFFFL);
    c.gdtBase = GDT;
    c.gdtLimit = 0xFF;
    for (int vector = 0; vector < 256; vector++) {
      long handler = HANDLERS + 16 * vector;
      write(IDT + 16 * vector, handler & 0xFFFF | CODE_SELECTOR << 16 | 0x8E00L << 32);
      write(IDT + 16 * vector + 8, 0);
      write8(handler, 0xF4);
    }
    c.idtBase = IDT;
    c.idtLimit = 0xFFF;
  }

  /** Maps the page at {@code gva} to {@code gpa} with these entry bits; 0 unmaps. */
  TestCpu map(long gva, long gpa, int bits) {
    write(PT + 8 * (gva >>> 12), bits == 0 ? 0 : gpa | bits);
    unit.invalidatePage(gva);
    return this;
  }

  // ---- memory by GPA ---------------------------------------------------------------------------

  private long hva(long gpa) {
    return machine.memory().hva(baseHpa + gpa);
  }

  long read(long gpa) {
    return Hva.readLong(hva(gpa));
  }

  void write(long gpa, long value) {
    Hva.writeLong(hva(gpa), value);
  }

  void write8(long gpa, int value) {
    Hva.writeByte(hva(gpa), value);
  }

  void write(long gpa, byte[] bytes) {
    Hva.write(hva(gpa), bytes, 0, bytes.length);
    c.codeWritten(baseHpa + gpa, bytes.length);
  }

  // ---- programs --------------------------------------------------------------------------------

  /** Assembles a program at {@link #CODE}, with a HLT behind it. */
  TestCpu program(Consumer<Assembler> text) {
    Assembler a = new Assembler(CODE);
    text.accept(a);
    a.hlt();
    write(CODE, a.assemble());
    return this;
  }

  TestCpu bytes(int... code) {
    for (int n = 0; n < code.length; n++) {
      write8(CODE + n, code[n]);
    }
    return this;
  }

  /** Runs until HLT or for at most a million instructions. */
  RunExit run() {
    return c.run(1_000_000);
  }

  /** The vector whose handler the processor halted in, or -1. */
  int vector() {
    long n = c.rip - 1 - HANDLERS;
    return c.halted && n >= 0 && n < 16 * 256 && n % 16 == 0 ? (int) n / 16 : -1;
  }

  long rax() {
    return c.gpr[Vcpu.RAX];
  }
}
