package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.ControlRegister;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.Workload;

/** The kernel on a PC: it has the processor, or believes so. */
final class PcPlatform extends GuestPlatform {
  private final Label identityPdpt = a.label();
  private final Label longModeEntry = a.label();
  private final Label pvhEntry = a.label();
  private final Label gdtPointer = a.label();
  private final Label idt = a.label();
  private final Label idtPointer = a.label();
  private final int identityGigabytes;

  PcPlatform(KernelRuntime kernel, int identityGigabytes) {
    super(kernel);
    this.identityGigabytes = identityGigabytes;
  }

  @Override
  byte[] image(byte[] content, long memoryBytes) {
    return ElfWriter.of(Layout.IMAGE_GPA, content, a.address(longModeEntry), a.address(pvhEntry));
  }

  @Override
  void emitEntry(Workload workload) {
    BootCode boot = new BootCode(kernel);
    boot.emitPvhEntry(pvhEntry, longModeEntry, gdtPointer);
    a.align(16);
    a.bind(longModeEntry);
    a.cli();
    a.cld();
    a.mov(RSP, Layout.STACK_TOP_GPA);
    boot.loadSegments(gdtPointer);
    boot.loadInterruptTable(idt, idtPointer, kernel.exceptionStubs, kernel.pageFault);
    boot.enableFeatures();
    emitIdentityMap();
    a.call(kernel.newRoot);
    a.mov(Memory.at(kernel.kernelRoot), RAX);
    a.mov(ControlRegister.CR3, RAX);
    if (workload == Workload.SPACE_SWITCH_PCID) {
      boot.enablePcid();
    }
    new ConsoleCode(a).emitInitialisation();
  }

  /** One PDPT with 2 MiB pages, shared by every root. */
  private void emitIdentityMap() {
    a.mov(RAX, Layout.TABLE_POOL_GPA);
    a.mov(Memory.at(kernel.nextTable), RAX);
    a.call(kernel.allocateTable);
    a.mov(Memory.at(identityPdpt), RAX);
    a.mov(R12, RAX);
    a.mov(RBX, BootCode.HUGE_PTE | BootCode.PTE_GLOBAL);
    for (int gigabyte = 0; gigabyte < identityGigabytes; gigabyte++) {
      a.call(kernel.allocateTable);
      a.lea(RDX, Memory.at(RAX, (int) KernelRuntime.PTE_P_RW));
      a.mov(Memory.at(R12, gigabyte * 8), RDX);
      BootCode.fillDirectory(a);
    }
  }

  @Override
  void emitRoutines() {
    new ConsoleCode(a).emitRoutines(kernel.puts, kernel.putHex);
  }

  @Override
  void emitData() {
    a.bind(identityPdpt);
    a.dq(0);
    new BootCode(kernel).emitDescriptorTables(gdtPointer, idt, idtPointer);
  }

  @Override
  void end(boolean success) {
    a.mov(AL, success ? 0 : 1);
    a.out(BuiltinGuest.EXIT_PORT, AL);
    Label stop = a.labelHere();
    a.hlt();
    a.jmp(stop);
  }

  // ---- tables --------------------------------------------------------------------------------

  @Override
  void becomesTable() {
    // Any page may be one.
  }

  @Override
  void becomesRoot() {
    a.mov(RCX, Memory.at(identityPdpt));
    a.or(RCX, KernelRuntime.PTE_P_RW);
    a.mov(Memory.at(RAX), RCX);
  }

  @Override
  void linkTable() {
    a.lea(R8, Memory.at(RAX, (int) KernelRuntime.PTE_P_RW));
    a.mov(Memory.at(R9), R8);
  }

  @Override
  void machineAddress(Register to, Register scratch) {
    // What a PC's guest holds for machine addresses are its guest-physical ones.
  }

  @Override
  void tableAddress(Register to, Register scratch) {
    a.and(to, -KernelRuntime.PAGE_BYTES);
  }

  @Override
  void frameOf(Register to, Register scratch) {
    a.shl(to, 12);
    a.shr(to, 24);
  }

  @Override
  void storeEntry(Register value) {
    a.mov(Memory.at(RAX), value);
  }

  @Override
  void flushEntries() {
    // The hardware sees what is stored.
  }

  @Override
  void loadRoot(Register root) {
    a.mov(ControlRegister.CR3, root);
  }

  @Override
  void mapPage() {
    a.mov(Memory.at(R13, RCX, 8, 0), RDX);
    a.invlpg(Memory.at(RDI));
  }

  @Override
  void unmapPage() {
    a.mov(Memory.at(R13, RCX, 8, 0).qword(), 0);
    a.invlpg(Memory.at(RDI));
  }

  @Override
  void finishUnmapping() {
    // Nothing is left.
  }

  // ---- exceptions ----------------------------------------------------------------------------

  @Override
  void enterHandler() {
    // The stack is the processor's.
  }

  @Override
  void faultAddress(Register to) {
    a.mov(to, ControlRegister.CR2);
  }

  @Override
  void repairPage(Register value) {
    a.mov(Memory.at(RAX), value);
    a.invlpg(Memory.at(RDI));
  }

  @Override
  void returnFromHandler() {
    a.add(RSP, 8);
    a.iretq();
  }
}
