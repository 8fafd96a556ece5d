package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import java.util.function.Function;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;

/**
 * The kernel around a workload: page tables and memory routines, over a {@link GuestPlatform} that
 * boots it, takes exceptions and prints.
 *
 * <p>Routines take RDI, RSI, RDX, answer in RAX and keep RBX, RBP, R12 to R15.
 */
final class KernelRuntime {
  /** Present, writable. */
  static final long PTE_P_RW = 3;

  /** The bit of a PTE, free for software, that marks copy-on-write. */
  static final int PTE_COW_BIT = 9;

  static final int PAGE_BYTES = 4096;

  /** Odd, so that no information is lost; keeps equal halves of a window from cancelling out. */
  private static final int CHECKSUM_FACTOR = 0x2545_F491;

  final Assembler a = new Assembler(Layout.IMAGE_GPA);

  /** Puts the zero-terminated text at RDI. */
  final Label puts = a.label();

  /** Puts RDI as 16 hexadecimal digits and a line end. */
  final Label putHex = a.label();

  /** Gives a zeroed frame for a table. */
  final Label allocateTable = a.label();

  /** Address of the PTE of GVA RDI under the root RDX; makes the tables above it. Keeps RDI. */
  final Label entryOf = a.label();

  /** Gives a new root that has the kernel's part. */
  final Label newRoot = a.label();

  /** Maps the pages of the window under root RDI to the data frames that start at RSI. */
  final Label mapWindow = a.label();

  /** Writes a pseudo-random word (seed RDX) to each 64-byte line from RDI on; RCX lines. */
  final Label fill = a.label();

  /** Folds the first word of each 64-byte line from RDI on into RAX; RCX lines. */
  final Label checksum = a.label();

  /** Page faults taken since the start. */
  final Label faultCount = a.label();

  /** Bit 63 where EFER.NXE is on, else 0: data is mapped with it. */
  final Label noExecute = a.label();

  /** Not zero where CR4.PCIDE is on. */
  final Label pcidEnabled = a.label();

  /** The root that is not the workload's to change. */
  final Label kernelRoot = a.label();

  /** Where the next table is taken from. */
  final Label nextTable = a.label();

  /** Where #PF goes. */
  final Label pageFault = a.label();

  /** Where the other exceptions go: a stub for each. */
  final Label exceptionStubs = a.label();

  /** What the kernel stands on. */
  final GuestPlatform platform;

  private final Label fatal = a.label();

  /** A kernel for a PC. */
  static KernelRuntime forPc(int identityGigabytes) {
    return new KernelRuntime(kernel -> new PcPlatform(kernel, identityGigabytes));
  }

  /** A kernel for a domain. */
  static KernelRuntime forDomain() {
    return new KernelRuntime(DomainPlatform::new);
  }

  private KernelRuntime(Function<KernelRuntime, GuestPlatform> makePlatform) {
    platform = makePlatform.apply(this);
  }

  /** Assembles the kernel around a workload, in the memory it needs. */
  byte[] image(Workload workload, WorkloadParameters parameters, long memoryBytes) {
    WorkloadCode code = WorkloadCode.of(workload, this, parameters);
    platform.emitEntry(workload);
    put("memvisor guest: " + workload + "\n");
    code.emit();
    emitSuccess(workload, parameters);
    emitTables(parameters);
    emitMemoryRoutines();
    platform.emitRoutines();
    emitExceptions(code);
    emitData();
    return platform.image(a.assemble(), memoryBytes);
  }

  // ---- what workloads use ----------------------------------------------------------------------

  void put(String text) {
    Label string = a.label();
    Label after = a.label();
    a.jmp(after);
    a.bind(string);
    a.ascii(text);
    a.db(0);
    a.bind(after);
    a.mov(RDI, string);
    a.call(puts);
  }

  /** {@code x ^= x << 13; x ^= x >> 7; x ^= x << 17} (Marsaglia's xorshift, 64 bits). */
  void xorshift(Register x, Register scratch) {
    a.mov(scratch, x);
    a.shl(scratch, 13);
    a.xor(x, scratch);
    a.mov(scratch, x);
    a.shr(scratch, 7);
    a.xor(x, scratch);
    a.mov(scratch, x);
    a.shl(scratch, 17);
    a.xor(x, scratch);
  }

  void fail(String why) {
    put("memvisor guest: " + why + "\n");
    a.jmp(fatal);
  }

  // ---- the end ---------------------------------------------------------------------------------

  private void emitSuccess(Workload workload, WorkloadParameters parameters) {
    a.mov(R12, RAX);
    put("pages %d iterations %d\n".formatted(parameters.pages(), parameters.iterations()));
    if (workload == Workload.SPACE_SWITCH_PCID) {
      Label tagged = a.label();
      a.cmp(Memory.at(pcidEnabled).qword(), 0);
      a.j(Condition.NE, tagged);
      put("this processor has no PCID\n");
      a.bind(tagged);
    }
    put("faults   ");
    a.mov(RDI, Memory.at(faultCount));
    a.call(putHex);
    put("checksum ");
    a.mov(RDI, R12);
    a.call(putHex);
    platform.end(true);
    a.bind(fatal);
    platform.end(false);
  }

  // ---- page tables -----------------------------------------------------------------------------

  private void emitTables(WorkloadParameters parameters) {
    emitAllocateTable();
    emitEntryOf();
    a.align(16);
    a.bind(newRoot);
    a.call(allocateTable);
    platform.becomesRoot();
    a.ret();
    emitMapWindow(parameters.pages());
  }

  private void emitAllocateTable() {
    a.align(16);
    a.bind(allocateTable);
    a.mov(RDX, Memory.at(nextTable));
    Label room = a.label();
    a.cmp(RDX, Layout.DATA_GPA);
    a.j(Condition.B, room);
    fail("no room for another page table");
    a.bind(room);
    a.lea(RAX, Memory.at(RDX, PAGE_BYTES));
    a.mov(Memory.at(nextTable), RAX);
    a.mov(R11, RDI);
    a.mov(RDI, RDX);
    a.mov(ECX, PAGE_BYTES / 8);
    a.xor(EAX, EAX);
    a.rep();
    a.stos(8);
    a.mov(RDI, R11);
    a.mov(RAX, RDX);
    platform.becomesTable();
    a.ret();
  }

  private void emitEntryOf() {
    a.align(16);
    a.bind(entryOf);
    a.mov(R8, RDX);
    for (int shift = 39; shift > 12; shift -= 9) {
      Label present = a.label();
      emitIndex(shift);
      a.lea(R9, Memory.at(R8, R9, 8, 0));
      a.mov(R8, Memory.at(R9));
      a.test(R8, 1);
      a.j(Condition.NE, present);
      a.call(allocateTable);
      platform.linkTable();
      a.bind(present);
      platform.tableAddress(R8, RAX);
    }
    emitIndex(12);
    a.lea(RAX, Memory.at(R8, R9, 8, 0));
    a.ret();
  }

  /** R9 = the index of RDI at the level whose page size is {@code 1 << shift}. */
  private void emitIndex(int shift) {
    a.mov(R9, RDI);
    a.shr(R9, shift);
    a.and(R9D, 511);
  }

  /** Page i of the window goes to data frame (i * odd + 5) mod pages: never in order. */
  private void emitMapWindow(int pages) {
    a.align(16);
    a.bind(mapWindow);
    a.push(RBX);
    a.push(R12);
    a.push(R13);
    a.mov(R12, RDI);
    a.mov(R13, RSI);
    a.xor(EBX, EBX);
    Label next = a.labelHere();
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(RAX, RBX);
    a.shl(RAX, 12);
    a.add(RDI, RAX);
    a.mov(RDX, R12);
    a.call(entryOf);
    a.imul(RCX, RBX, 0x2A5);
    a.add(RCX, 5);
    a.and(RCX, pages - 1);
    a.shl(RCX, 12);
    a.add(RCX, R13);
    platform.machineAddress(RCX, RDX);
    a.or(RCX, PTE_P_RW);
    a.or(RCX, Memory.at(noExecute));
    platform.storeEntry(RCX);
    a.inc(RBX);
    a.cmp(RBX, pages);
    a.j(Condition.B, next);
    platform.flushEntries();
    a.pop(R13);
    a.pop(R12);
    a.pop(RBX);
    a.ret();
  }

  private void emitMemoryRoutines() {
    a.align(16);
    a.bind(fill);
    Label line = a.labelHere();
    xorshift(RDX, RAX);
    a.mov(Memory.at(RDI), RDX);
    a.add(RDI, 64);
    a.dec(RCX);
    a.j(Condition.NE, line);
    a.ret();
    a.align(16);
    a.bind(checksum);
    Label fold = a.labelHere();
    a.rol(RAX, 5);
    a.xor(RAX, Memory.at(RDI));
    a.imul(RAX, RAX, CHECKSUM_FACTOR);
    a.add(RDI, 64);
    a.dec(RCX);
    a.j(Condition.NE, fold);
    a.ret();
  }

  // ---- exceptions ------------------------------------------------------------------------------

  private void emitExceptions(WorkloadCode code) {
    Label unexpected = a.label();
    new ExceptionCode(this).emit(exceptionStubs, unexpected, fatal);
    a.align(16);
    a.bind(pageFault);
    platform.enterHandler();
    a.inc(Memory.at(faultCount).qword());
    code.emitPageFaultHandler(unexpected);
  }

  private void emitData() {
    a.align(16);
    for (Label quadword : new Label[] {faultCount, noExecute, pcidEnabled, kernelRoot, nextTable}) {
      a.bind(quadword);
      a.dq(0);
    }
    platform.emitData();
    if (a.here() > Layout.SHARE_COUNTS_GPA) {
      throw new IllegalStateException("image end=0x%x".formatted(a.here()));
    }
  }
}
