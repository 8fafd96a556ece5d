package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.Workload;

/**
 * The kernel as a Xen PV guest: it runs in ring 3, its tables hold machine addresses, and it asks
 * the monitor for what a PC's kernel does itself.
 *
 * <p>The domain builder's first tables map all of guest memory at its guest-physical addresses;
 * every root of the kernel's own shares them. A page that becomes a table is made read-only in them
 * first.
 */
final class DomainPlatform extends GuestPlatform {
  /** Offsets in start_info (public/xen.h). */
  private static final int START_SHARED_INFO = 40;

  private static final int START_PT_BASE = 88;
  private static final int START_MFN_LIST = 104;

  /** shared_info.vcpu_info[0].arch.cr2. */
  private static final int SHARED_CR2 = 16;

  private static final long M2P_GVA = 0xFFFF_8000_0000_0000L;

  /** Present, accessed: what maps a page that became a table. */
  private static final int PTE_READ_ONLY = 0x21;

  /** Present, writable, user, accessed, dirty: what leads to a table. */
  private static final int PTE_TABLE = 0x67;

  private static final int VECTORS = 32;
  private static final int PAGE_FAULT = 14;
  private static final int KERNEL_CODE = 0xE033;

  private final Label entry = a.label();
  private final Label p2m = a.label();
  private final Label firstRoot = a.label();
  private final Label pendingUnmap = a.label();
  private final Label argument = a.label();
  private final Label trapTable = a.label();
  private final HypercallCode calls;

  DomainPlatform(KernelRuntime kernel) {
    super(kernel);
    calls = new HypercallCode(kernel, p2m);
  }

  @Override
  byte[] image(byte[] content, long memoryBytes) {
    return ElfWriter.paravirtual(
        Layout.IMAGE_GPA, content, memoryBytes - Layout.IMAGE_GPA, a.address(entry));
  }

  /** RSI holds the address of start_info. */
  @Override
  void emitEntry(Workload workload) {
    a.code64();
    a.align(16);
    a.bind(entry);
    a.cld();
    a.mov(RSP, Layout.STACK_TOP_GPA);
    a.mov(RBX, RSI);
    a.mov(RAX, Memory.at(RBX, START_MFN_LIST));
    a.mov(Memory.at(p2m), RAX);
    a.mov(RAX, Memory.at(RBX, START_PT_BASE));
    a.mov(Memory.at(firstRoot), RAX);
    a.mov(RAX, 1L << 63);
    a.mov(Memory.at(kernel.noExecute), RAX);
    a.mov(RAX, Layout.TABLE_POOL_GPA);
    a.mov(Memory.at(kernel.nextTable), RAX);
    a.mov(RDI, trapTable);
    calls.call(HypercallCode.SET_TRAP_TABLE);
    mapSharedInfo();
    // I/O privilege, so that the debug console's port reaches the monitor.
    a.mov(Memory.at(argument).qword(), 1);
    a.mov(EDI, HypercallCode.PHYSDEVOP_SET_IOPL);
    a.mov(RSI, argument);
    calls.call(HypercallCode.PHYSDEV_OP);
    a.call(kernel.newRoot);
    a.mov(Memory.at(kernel.kernelRoot), RAX);
    loadRoot(RAX);
    a.mov(RSI, Memory.at(firstRoot));
    machineAddress(RSI, RCX);
    a.mov(EDI, HypercallCode.MMUEXT_UNPIN_TABLE);
    a.call(calls.extended);
  }

  /** Where the PC's kernel has its first tables, which the domain builder has made already. */
  private void mapSharedInfo() {
    a.mov(RDI, Layout.BOOT_TABLES_GPA);
    a.mov(RSI, Memory.at(RBX, START_SHARED_INFO));
    a.or(RSI, KernelRuntime.PTE_P_RW);
    calls.updateMapping();
  }

  @Override
  void emitRoutines() {
    calls.emitRoutines();
  }

  @Override
  void emitData() {
    for (Label quadword : new Label[] {p2m, firstRoot, pendingUnmap, argument}) {
      a.bind(quadword);
      a.dq(0);
    }
    calls.emitData();
    a.align(16);
    a.bind(trapTable);
    for (int vector = 0; vector < VECTORS; vector++) {
      a.db(vector, 0);
      a.dw(KERNEL_CODE, 0, 0);
      if (vector == PAGE_FAULT) {
        a.dq(kernel.pageFault, 0);
      } else {
        a.dq(kernel.exceptionStubs, vector * ExceptionCode.STUB_BYTES);
      }
    }
    a.dq(0, 0);
  }

  @Override
  void end(boolean success) {
    a.mov(
        Memory.at(argument).qword(),
        success ? HypercallCode.SHUTDOWN_POWEROFF : HypercallCode.SHUTDOWN_CRASH);
    a.mov(EDI, HypercallCode.SCHEDOP_SHUTDOWN);
    a.mov(RSI, argument);
    a.mov(EAX, HypercallCode.SCHED_OP);
    a.syscall();
    a.ud2();
  }

  // ---- tables --------------------------------------------------------------------------------

  @Override
  void becomesTable() {
    a.push(RAX);
    a.push(RDI);
    a.mov(RDI, RAX);
    a.mov(RSI, RAX);
    machineAddress(RSI, RCX);
    a.or(RSI, PTE_READ_ONLY);
    calls.updateMapping();
    a.pop(RDI);
    a.pop(RAX);
  }

  /** Takes over the mapping of guest memory, and pins: the root stays one without being loaded. */
  @Override
  void becomesRoot() {
    a.push(RAX);
    a.mov(RSI, Memory.at(firstRoot));
    a.mov(RSI, Memory.at(RSI));
    a.mov(RDI, RAX);
    a.call(calls.writeEntry);
    a.mov(RSI, Memory.at(RSP));
    machineAddress(RSI, RCX);
    a.mov(EDI, HypercallCode.MMUEXT_PIN_L4_TABLE);
    a.call(calls.extended);
    a.pop(RAX);
  }

  @Override
  void linkTable() {
    a.push(RDI);
    a.mov(RDI, R9);
    a.mov(RSI, RAX);
    machineAddress(RSI, RCX);
    a.or(RSI, PTE_TABLE);
    a.call(calls.writeEntry);
    a.pop(RDI);
    a.mov(R8, Memory.at(R9));
  }

  @Override
  void machineAddress(Register to, Register scratch) {
    a.shr(to, 12);
    a.mov(scratch, Memory.at(p2m));
    a.mov(to, Memory.at(scratch, to, 8, 0));
    a.shl(to, 12);
  }

  @Override
  void tableAddress(Register to, Register scratch) {
    frameOf(to, scratch);
    a.shl(to, 12);
  }

  @Override
  void frameOf(Register to, Register scratch) {
    a.shl(to, 12);
    a.shr(to, 24);
    a.mov(scratch, M2P_GVA);
    a.mov(to, Memory.at(scratch, to, 8, 0));
  }

  @Override
  void storeEntry(Register value) {
    a.push(RDI);
    a.mov(RSI, value);
    a.mov(RDI, RAX);
    a.call(calls.queueEntry);
    a.pop(RDI);
  }

  @Override
  void flushEntries() {
    a.call(calls.flushEntries);
  }

  @Override
  void loadRoot(Register root) {
    a.push(RAX);
    a.mov(RSI, root);
    machineAddress(RSI, RCX);
    a.mov(EDI, HypercallCode.MMUEXT_NEW_BASEPTR);
    a.call(calls.extended);
    a.pop(RAX);
  }

  /** The unmapping that was put off and this mapping go to the monitor in one multicall. */
  @Override
  void mapPage() {
    Label alone = a.label();
    Label done = a.label();
    a.push(RDI);
    a.mov(RSI, RDX);
    a.mov(RAX, Memory.at(pendingUnmap));
    a.test(RAX, RAX);
    a.j(Condition.E, alone);
    a.call(calls.remapPages);
    a.jmp(done);
    a.bind(alone);
    calls.updateMapping();
    a.bind(done);
    a.pop(RDI);
  }

  @Override
  void unmapPage() {
    a.mov(Memory.at(pendingUnmap), RDI);
  }

  @Override
  void finishUnmapping() {
    a.mov(RDI, Memory.at(pendingUnmap));
    a.xor(ESI, ESI);
    calls.updateMapping();
  }

  // ---- exceptions ----------------------------------------------------------------------------

  /** Below the processor's frame the monitor has pushed R11 and RCX. */
  @Override
  void enterHandler() {
    a.pop(RCX);
    a.pop(R11);
  }

  @Override
  void faultAddress(Register to) {
    a.mov(to, Layout.BOOT_TABLES_GPA);
    a.mov(to, Memory.at(to, SHARED_CR2));
  }

  @Override
  void repairPage(Register value) {
    a.push(RDI);
    a.mov(RSI, value);
    calls.updateMapping();
    a.pop(RDI);
  }

  /** The frame that HYPERVISOR_iret takes: RAX, R11, RCX, flags, then the processor's. */
  @Override
  void returnFromHandler() {
    a.mov(Memory.at(RSP).qword(), 0);
    a.push(RCX);
    a.push(R11);
    a.push(RAX);
    a.mov(EAX, HypercallCode.IRET);
    a.syscall();
  }
}
