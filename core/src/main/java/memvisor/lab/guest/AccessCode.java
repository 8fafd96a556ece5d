package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;

/** Workloads that only access memory: their tables stay as they are. */
final class AccessCode extends WorkloadCode {
  /** Copied in one turn of the loop. */
  private static final int COPY_STEP_BYTES = 32;

  private final Workload workload;

  AccessCode(KernelRuntime kernel, WorkloadParameters parameters, Workload workload) {
    super(kernel, parameters);
    this.workload = workload;
  }

  @Override
  void emit() {
    emitFilledWindow();
    if (workload == Workload.POINTER_CHASE) {
      emitPointers();
    }
    kernel.platform.mark(BuiltinGuest.MARK_BEGIN);
    a.xor(EBX, EBX);
    switch (workload) {
      case SEQUENTIAL_COPY -> emitCopy();
      case RANDOM_UPDATE -> emitUpdates();
      case POINTER_CHASE -> emitChase();
      case MAP_CHURN, SPACE_SWITCH, SPACE_SWITCH_PCID, COPY_ON_WRITE ->
          throw new IllegalStateException(workload.toString());
    }
    kernel.platform.mark(BuiltinGuest.MARK_END);
    a.mov(RAX, RBX);
    emitWindowChecksum();
  }

  /** Each pass copies the first half to the second and changes one word, so that passes differ. */
  private void emitCopy() {
    long halfBytes = (long) parameters.pages() / 2 * PAGE_BYTES;
    repeat(
        RBP,
        parameters.iterations(),
        () -> {
          a.mov(RSI, Layout.WINDOW_GVA);
          a.mov(RDI, Layout.WINDOW_GVA + halfBytes);
          a.mov(RCX, halfBytes / COPY_STEP_BYTES);
          Label next = a.labelHere();
          for (int offset = 0; offset < COPY_STEP_BYTES; offset += 8) {
            a.mov(RAX, Memory.at(RSI, offset));
            a.mov(Memory.at(RDI, offset), RAX);
          }
          a.add(RSI, COPY_STEP_BYTES);
          a.add(RDI, COPY_STEP_BYTES);
          a.dec(RCX);
          a.j(Condition.NE, next);
          a.mov(RSI, Layout.WINDOW_GVA);
          a.add(Memory.at(RSI), RBP);
        });
  }

  private void emitUpdates() {
    a.mov(RSI, Layout.WINDOW_GVA);
    a.mov(RDX, SEED);
    long words = (long) parameters.pages() * PAGE_BYTES / 8;
    repeat(
        RBP,
        parameters.iterations(),
        () -> {
          kernel.xorshift(RDX, RAX);
          a.mov(RAX, RDX);
          a.and(RAX, words - 1);
          a.xor(Memory.at(RSI, RAX, 8, 0), RDX);
        });
  }

  /** One pointer in each page, all in one cycle: i goes to (5 i + 3) mod pages. */
  private void emitPointers() {
    a.xor(EBX, EBX);
    Label next = a.labelHere();
    emitPointerAddress();
    a.mov(RSI, RDI);
    a.mov(R12, RBX);
    a.lea(RBX, Memory.at(RBX, RBX, 4, 3));
    a.and(EBX, parameters.pages() - 1);
    emitPointerAddress();
    a.mov(Memory.at(RSI), RDI);
    a.lea(RBX, Memory.at(R12, 1));
    a.cmp(RBX, parameters.pages());
    a.j(Condition.B, next);
  }

  /** RDI = address of the pointer in page RBX; its line differs from page to page. */
  private void emitPointerAddress() {
    emitPageAddress(RDI, RBX, RAX);
    a.mov(RAX, RBX);
    a.and(RAX, LINES_PER_PAGE - 1);
    a.shl(RAX, 6);
    a.add(RDI, RAX);
  }

  private void emitChase() {
    a.mov(RSI, Layout.WINDOW_GVA);
    repeat(
        RBP,
        parameters.iterations(),
        () -> {
          a.mov(RSI, Memory.at(RSI));
          a.add(RBX, RSI);
        });
  }
}
