package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.ControlRegister.*;
import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.SegmentRegister;
import memvisor.paging.PagingState;

/** The way into long mode, and the descriptor tables (Intel SDM vol. 3A, 11.8.5 and chapter 6). */
final class BootCode {
  /** Present, writable, page size. */
  static final long HUGE_PTE = 0x83;

  /** Global. */
  static final long PTE_GLOBAL = 0x100;

  private static final long HUGE_PAGE_BYTES = 2L << 20;
  private static final int CODE64 = 0x08;
  private static final int DATA = 0x10;
  private static final int CODE32 = 0x18;
  private static final int VECTORS = 32;
  private static final int PAGE_FAULT = 14;
  private static final int IA32_EFER = 0xC000_0080;

  /** CPUID.01H:ECX.PCID. */
  private static final int CPUID_PCID_BIT = 17;

  /** CPUID.80000001H:EDX.NX. */
  private static final int CPUID_NX_BIT = 20;

  private final KernelRuntime kernel;
  private final Assembler a;

  BootCode(KernelRuntime kernel) {
    this.kernel = kernel;
    this.a = kernel.a;
  }

  /** From 32-bit protected mode without paging to {@code longMode}. */
  void emitPvhEntry(Label pvhEntry, Label longMode, Label gdtPointer) {
    a.code32();
    a.bind(pvhEntry);
    a.cli();
    a.cld();
    // An empty PML4, PDPT and PD; then one entry in each of the first two and the PD full.
    a.mov(EDI, Layout.BOOT_TABLES_GPA);
    a.mov(ECX, 3 * 4096 / 4);
    a.xor(EAX, EAX);
    a.rep();
    a.stos(4);
    a.mov(EDI, Layout.BOOT_TABLES_GPA);
    a.mov(Memory.at(EDI).dword(), Layout.BOOT_TABLES_GPA + 4096 | KernelRuntime.PTE_P_RW);
    a.mov(Memory.at(EDI, 4096).dword(), Layout.BOOT_TABLES_GPA + 8192 | KernelRuntime.PTE_P_RW);
    a.mov(EAX, HUGE_PTE);
    a.xor(ECX, ECX);
    Label next = a.labelHere();
    a.mov(Memory.at(EDI, ECX, 8, 8192), EAX);
    a.add(EAX, HUGE_PAGE_BYTES);
    a.inc(ECX);
    a.cmp(ECX, 512);
    a.j(Condition.B, next);
    a.mov(CR3, EDI);
    a.mov(EAX, PagingState.CR4_PAE);
    a.mov(CR4, EAX);
    a.mov(ECX, IA32_EFER);
    a.rdmsr();
    a.or(EAX, PagingState.EFER_LME);
    a.wrmsr();
    a.lgdt(Memory.at(gdtPointer));
    a.mov(EAX, CR0);
    a.or(EAX, (int) (PagingState.CR0_PG | PagingState.CR0_PE));
    a.mov(CR0, EAX);
    a.jmpFar(CODE64, longMode);
    a.code64();
  }

  /** Loads the kernel's own GDT and every segment register. */
  void loadSegments(Label gdtPointer) {
    Label reloaded = a.label();
    a.lgdt(Memory.at(gdtPointer));
    a.push(CODE64);
    a.mov(RAX, reloaded);
    a.push(RAX);
    a.retfq();
    a.bind(reloaded);
    a.mov(EAX, DATA);
    for (SegmentRegister segment :
        new SegmentRegister[] {
          SegmentRegister.DS,
          SegmentRegister.ES,
          SegmentRegister.SS,
          SegmentRegister.FS,
          SegmentRegister.GS
        }) {
      a.mov(segment, EAX);
    }
  }

  /** Fills the IDT with 64-bit interrupt gates: one stub of 16 bytes per vector, and #PF's own. */
  void loadInterruptTable(Label idt, Label idtPointer, Label stubs, Label pageFault) {
    a.mov(RDI, idt);
    a.mov(RSI, stubs);
    a.mov(ECX, VECTORS);
    Label next = a.labelHere();
    writeGate();
    a.add(RSI, 16);
    a.add(RDI, 16);
    a.dec(ECX);
    a.j(Condition.NE, next);
    a.mov(RDI, idt);
    a.add(RDI, PAGE_FAULT * 16);
    a.mov(RSI, pageFault);
    writeGate();
    a.lidt(Memory.at(idtPointer));
  }

  /** Writes the gate at RDI for the handler at RSI, which lies below 4 GiB. */
  private void writeGate() {
    a.mov(Memory.at(RDI), SI);
    a.mov(Memory.at(RDI, 2).word(), CODE64);
    a.mov(Memory.at(RDI, 4).word(), (short) 0x8E00);
    a.mov(RAX, RSI);
    a.shr(RAX, 16);
    a.mov(Memory.at(RDI, 6), AX);
    a.mov(Memory.at(RDI, 8).qword(), 0);
  }

  /**
   * Turns on write protection (supervisor's writes obey R/W too), global pages and, where the
   * processor has it, NX.
   */
  void enableFeatures() {
    a.mov(RAX, CR0);
    a.or(RAX, PagingState.CR0_WP);
    a.mov(CR0, RAX);
    a.mov(RAX, CR4);
    a.or(RAX, PagingState.CR4_PGE);
    a.mov(CR4, RAX);
    Label noNx = a.label();
    a.mov(EAX, 0x8000_0001);
    a.cpuid();
    a.bt(EDX, CPUID_NX_BIT);
    a.j(Condition.AE, noNx);
    a.mov(ECX, IA32_EFER);
    a.rdmsr();
    a.or(EAX, PagingState.EFER_NXE);
    a.wrmsr();
    a.mov(RAX, 1L << 63);
    a.mov(Memory.at(kernel.noExecute), RAX);
    a.bind(noNx);
  }

  /** Turns on PCIDs where the processor has them; CR3 must hold PCID 0. */
  void enablePcid() {
    Label without = a.label();
    a.mov(EAX, 1);
    a.xor(ECX, ECX);
    a.cpuid();
    a.bt(ECX, CPUID_PCID_BIT);
    a.j(Condition.AE, without);
    a.mov(RAX, CR4);
    a.or(RAX, PagingState.CR4_PCIDE);
    a.mov(CR4, RAX);
    a.mov(Memory.at(kernel.pcidEnabled).qword(), 1);
    a.bind(without);
  }

  /**
   * Fills the page directory at RAX with 2 MiB pages from the entry in RBX on, and advances RBX.
   */
  static void fillDirectory(Assembler a) {
    a.xor(ECX, ECX);
    Label next = a.labelHere();
    a.mov(Memory.at(RAX, RCX, 8, 0), RBX);
    a.add(RBX, HUGE_PAGE_BYTES);
    a.inc(ECX);
    a.cmp(ECX, 512);
    a.j(Condition.B, next);
  }

  void emitDescriptorTables(Label gdtPointer, Label idt, Label idtPointer) {
    a.align(16);
    Label gdt = a.labelHere();
    a.dq(0, 0x00AF_9B00_0000_FFFFL, 0x00CF_9300_0000_FFFFL, 0x00CF_9B00_0000_FFFFL);
    a.bind(gdtPointer);
    a.dw(CODE32 + 7);
    a.dq(gdt, 0);
    a.align(16);
    a.bind(idt);
    a.space(VECTORS * 16);
    a.bind(idtPointer);
    a.dw(VECTORS * 16 - 1);
    a.dq(idt, 0);
  }
}
