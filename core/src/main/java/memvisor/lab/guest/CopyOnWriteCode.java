package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.WorkloadParameters;

/**
 * Fork, run the child, let it exit, run the parent: pages are shared read-only at the fork and
 * copied by the page-fault handler at the first write.
 */
final class CopyOnWriteCode extends WorkloadCode {
  /** The child writes every second page, the parent every fourth after it. */
  private static final int CHILD_STRIDE = 2;

  private static final int PARENT_STRIDE = 4;

  /** Error code of a supervisor's write to a present page. */
  private static final int WRITE_TO_PRESENT = 3;

  private final Label fork = a.label();
  private final Label exitChild = a.label();
  private final Label currentRoot = a.label();
  private final Label childRoot = a.label();
  private final Label nextFrame = a.label();

  CopyOnWriteCode(KernelRuntime kernel, WorkloadParameters parameters) {
    super(kernel, parameters);
  }

  @Override
  void emit() {
    emitFilledWindow();
    emitShareCounts();
    a.call(kernel.newRoot);
    a.mov(Memory.at(childRoot), RAX);
    a.xor(EBX, EBX);
    kernel.platform.mark(BuiltinGuest.MARK_BEGIN);
    repeat(
        RBP,
        parameters.iterations(),
        () -> {
          a.call(fork);
          enter(childRoot);
          emitWrites(CHILD_STRIDE);
          emitReads();
          enter(kernel.kernelRoot);
          a.call(exitChild);
          emitWrites(PARENT_STRIDE);
          emitReads();
        });
    kernel.platform.mark(BuiltinGuest.MARK_END);
    a.mov(RAX, RBX);
    emitWindowChecksum();
    Label after = a.label();
    a.jmp(after);
    emitFork();
    emitExitChild();
    a.align(8);
    for (Label quadword : new Label[] {currentRoot, childRoot, nextFrame}) {
      a.bind(quadword);
      a.dq(0);
    }
    a.bind(after);
  }

  /** Every frame of the parent is mapped once; copies start with the frame after them. */
  private void emitShareCounts() {
    a.mov(RDI, Layout.SHARE_COUNTS_GPA);
    a.mov(ECX, parameters.pages());
    a.mov(AL, 1);
    a.rep();
    a.stos(1);
    a.mov(RAX, firstCopy());
    a.mov(Memory.at(nextFrame), RAX);
  }

  private long firstCopy() {
    return Layout.DATA_GPA + (long) parameters.pages() * PAGE_BYTES;
  }

  private void enter(Label root) {
    a.mov(RAX, Memory.at(root));
    a.mov(Memory.at(currentRoot), RAX);
    kernel.platform.loadRoot(RAX);
  }

  private void emitWrites(int stride) {
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(ECX, parameters.pages() / stride);
    Label page = a.labelHere();
    a.add(Memory.at(RDI, 64), RBP);
    a.add(RDI, stride * PAGE_BYTES);
    a.dec(ECX);
    a.j(Condition.NE, page);
  }

  private void emitReads() {
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(ECX, parameters.pages());
    Label page = a.labelHere();
    a.rol(RBX, 1);
    a.add(RBX, Memory.at(RDI, 64));
    a.add(RDI, PAGE_BYTES);
    a.dec(ECX);
    a.j(Condition.NE, page);
  }

  /** Runs {@code body} for each page with its address in RDI and its number in R12. */
  private void forEachPage(Runnable body) {
    a.xor(R12D, R12D);
    Label page = a.labelHere();
    emitPageAddress(RDI, R12, RAX);
    body.run();
    a.inc(R12);
    a.cmp(R12, parameters.pages());
    a.j(Condition.B, page);
  }

  /** Shares every page of the parent with the child, read-only in both. */
  private void emitFork() {
    a.align(16);
    a.bind(fork);
    forEachPage(
        () -> {
          a.mov(RDX, Memory.at(kernel.kernelRoot));
          a.call(kernel.entryOf);
          a.mov(R13, Memory.at(RAX));
          a.btr(R13, 1);
          a.bts(R13, KernelRuntime.PTE_COW_BIT);
          kernel.platform.storeEntry(R13);
          a.mov(RDX, Memory.at(childRoot));
          a.call(kernel.entryOf);
          kernel.platform.storeEntry(R13);
          emitShareCountAddress(RCX, R13);
          a.inc(Memory.at(RCX).byteWide());
        });
    kernel.platform.flushEntries();
    a.ret();
  }

  /** Unmaps the child's pages; the frames that it copied are free again. */
  private void emitExitChild() {
    a.align(16);
    a.bind(exitChild);
    forEachPage(
        () -> {
          a.mov(RDX, Memory.at(childRoot));
          a.call(kernel.entryOf);
          a.mov(R13, Memory.at(RAX));
          a.xor(ECX, ECX);
          kernel.platform.storeEntry(RCX);
          emitShareCountAddress(RCX, R13);
          a.dec(Memory.at(RCX).byteWide());
        });
    kernel.platform.flushEntries();
    a.mov(RAX, firstCopy());
    a.mov(Memory.at(nextFrame), RAX);
    a.ret();
  }

  /**
   * {@code to} = address of the share count of the frame that {@code entry} maps; keeps entry.
   * Changes R9.
   */
  private void emitShareCountAddress(Register to, Register entry) {
    a.mov(to, entry);
    kernel.platform.frameOf(to, R9);
    a.sub(to, (int) ((Layout.DATA_GPA >>> 12) - Layout.SHARE_COUNTS_GPA));
  }

  /** Copies the page if others still map its frame, else makes it writable again. */
  @Override
  void emitPageFaultHandler(Label unexpected) {
    Register[] saved = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};
    Label notOurs = a.label();
    Label alone = a.label();
    Label repair = a.label();
    for (Register register : saved) {
      a.push(register);
    }
    a.cmp(Memory.at(RSP, saved.length * 8).qword(), WRITE_TO_PRESENT);
    a.j(Condition.NE, notOurs);
    kernel.platform.faultAddress(RDI);
    a.and(RDI, -PAGE_BYTES);
    a.mov(RDX, Memory.at(currentRoot));
    a.call(kernel.entryOf);
    a.mov(R10, Memory.at(RAX));
    a.bt(R10, KernelRuntime.PTE_COW_BIT);
    a.j(Condition.AE, notOurs);
    emitShareCountAddress(RCX, R10);
    a.cmp(Memory.at(RCX).byteWide(), 1);
    a.j(Condition.E, alone);
    emitCopy();
    a.jmp(repair);
    a.bind(alone);
    a.bts(R10, 1);
    a.btr(R10, KernelRuntime.PTE_COW_BIT);
    a.bind(repair);
    kernel.platform.repairPage(R10);
    emitRestore(saved);
    kernel.platform.returnFromHandler();
    a.bind(notOurs);
    emitRestore(saved);
    a.jmp(unexpected);
  }

  /** RCX = the share count's address; R10 becomes the PTE of the copy. Keeps RAX and RDI. */
  private void emitCopy() {
    a.dec(Memory.at(RCX).byteWide());
    a.mov(R11, RDI);
    a.mov(RSI, RDI);
    a.mov(RDI, Memory.at(nextFrame));
    a.lea(RDX, Memory.at(RDI, PAGE_BYTES));
    a.mov(Memory.at(nextFrame), RDX);
    a.mov(R10, RDI);
    a.mov(ECX, PAGE_BYTES / 8);
    a.rep();
    a.movs(8);
    kernel.platform.machineAddress(R10, RCX);
    a.or(R10, KernelRuntime.PTE_P_RW);
    a.or(R10, Memory.at(kernel.noExecute));
    a.mov(RDI, R11);
    emitShareCountAddress(RCX, R10);
    a.mov(Memory.at(RCX).byteWide(), 1);
  }

  private void emitRestore(Register[] saved) {
    for (int i = saved.length - 1; i >= 0; i--) {
      a.pop(saved[i]);
    }
  }
}
