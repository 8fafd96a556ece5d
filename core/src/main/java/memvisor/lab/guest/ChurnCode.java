package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Memory;
import memvisor.lab.WorkloadParameters;

/** Maps a page, touches it, unmaps it: what mmap and munmap cost. */
final class ChurnCode extends WorkloadCode {
  ChurnCode(KernelRuntime kernel, WorkloadParameters parameters) {
    super(kernel, parameters);
  }

  /** R13 = first PTE of the window; R14 = its bits but for the frame. */
  @Override
  void emit() {
    emitFilledWindow();
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(RDX, Memory.at(kernel.kernelRoot));
    a.call(kernel.entryOf);
    a.mov(R13, RAX);
    a.mov(R14, Memory.at(kernel.noExecute));
    a.or(R14, KernelRuntime.PTE_P_RW);
    a.mov(R15, SEED);
    a.xor(EBX, EBX);
    kernel.platform.mark(BuiltinGuest.MARK_BEGIN);
    repeat(RBP, parameters.iterations(), this::emitOnePage);
    kernel.platform.finishUnmapping();
    kernel.platform.mark(BuiltinGuest.MARK_END);
    a.mov(RAX, RBX);
  }

  private void emitOnePage() {
    // One leaf table at most: the PTEs of 512 pages lie side by side.
    int pages = Math.min(parameters.pages(), 512);
    kernel.xorshift(R15, RAX);
    a.mov(RCX, R15);
    a.and(ECX, pages - 1);
    emitPageAddress(RDI, RCX, RAX);
    a.mov(RDX, R15);
    a.shr(RDX, 32);
    a.and(EDX, parameters.pages() - 1);
    a.shl(RDX, 12);
    a.add(RDX, Layout.DATA_GPA);
    kernel.platform.machineAddress(RDX, RAX);
    a.or(RDX, R14);
    kernel.platform.mapPage();
    a.add(RBX, Memory.at(RDI));
    a.add(Memory.at(RDI), RBP);
    a.rol(RBX, 1);
    kernel.platform.unmapPage();
  }
}
