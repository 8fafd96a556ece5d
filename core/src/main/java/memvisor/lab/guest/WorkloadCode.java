package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;

/** One workload's code. It leaves its checksum in RAX. */
abstract sealed class WorkloadCode permits AccessCode, ChurnCode, SwitchCode, CopyOnWriteCode {
  static final int PAGE_BYTES = KernelRuntime.PAGE_BYTES;
  static final int LINES_PER_PAGE = PAGE_BYTES / 64;
  static final long SEED = 0x9E37_79B9_7F4A_7C15L;

  final KernelRuntime kernel;
  final Assembler a;
  final WorkloadParameters parameters;

  WorkloadCode(KernelRuntime kernel, WorkloadParameters parameters) {
    this.kernel = kernel;
    this.a = kernel.a;
    this.parameters = parameters;
  }

  static WorkloadCode of(Workload workload, KernelRuntime kernel, WorkloadParameters parameters) {
    return switch (workload) {
      case SEQUENTIAL_COPY, RANDOM_UPDATE, POINTER_CHASE ->
          new AccessCode(kernel, parameters, workload);
      case MAP_CHURN -> new ChurnCode(kernel, parameters);
      case SPACE_SWITCH, SPACE_SWITCH_PCID -> new SwitchCode(kernel, parameters);
      case COPY_ON_WRITE -> new CopyOnWriteCode(kernel, parameters);
    };
  }

  /** Set-up, the measured section and the checksum. */
  abstract void emit();

  /** What #PF does; the error code is on the stack. */
  void emitPageFaultHandler(Label unexpected) {
    a.jmp(unexpected);
  }

  /** Maps the window under the kernel's root and fills it. */
  final void emitFilledWindow() {
    a.mov(RDI, Memory.at(kernel.kernelRoot));
    a.mov(RSI, Layout.DATA_GPA);
    a.call(kernel.mapWindow);
    emitFill();
  }

  final void emitFill() {
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(RCX, (long) parameters.pages() * LINES_PER_PAGE);
    a.mov(RDX, SEED);
    a.call(kernel.fill);
  }

  /** RAX = checksum of the whole window, continued from RAX. */
  final void emitWindowChecksum() {
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(RCX, (long) parameters.pages() * LINES_PER_PAGE);
    a.call(kernel.checksum);
  }

  /** Runs {@code body} {@code count} times, counting {@code counter} down. */
  final void repeat(Register counter, long count, Runnable body) {
    a.mov(counter, count);
    Label again = a.labelHere();
    body.run();
    a.dec(counter);
    a.j(Condition.NE, again);
  }

  /** Loads the window's first address plus page {@code page} into {@code to}. */
  final void emitPageAddress(Register to, Register page, Register scratch) {
    a.mov(to, page);
    a.shl(to, 12);
    a.mov(scratch, Layout.WINDOW_GVA);
    a.add(to, scratch);
  }
}
