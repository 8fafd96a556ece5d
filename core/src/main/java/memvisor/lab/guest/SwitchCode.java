package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.lab.WorkloadParameters;

/** Goes round several address spaces and touches every page of each. */
final class SwitchCode extends WorkloadCode {
  /** CR3 bit 63 with CR4.PCIDE: keep the translations of the new PCID. */
  private static final int KEEP_TRANSLATIONS_BIT = 63;

  private final Label roots;

  SwitchCode(KernelRuntime kernel, WorkloadParameters parameters) {
    super(kernel, parameters);
    this.roots = a.label();
  }

  @Override
  void emit() {
    emitSpaces();
    a.xor(EBX, EBX);
    a.xor(R12D, R12D);
    a.mov(R13, roots);
    kernel.platform.mark(BuiltinGuest.MARK_BEGIN);
    repeat(RBP, parameters.iterations(), this::emitVisit);
    kernel.platform.mark(BuiltinGuest.MARK_END);
    emitSumOfSpaces();
    Label after = a.label();
    a.jmp(after);
    a.align(8);
    a.bind(roots);
    a.space(8 * parameters.spaces());
    a.bind(after);
  }

  /** Builds each space over frames of its own, enters it and fills it. */
  private void emitSpaces() {
    a.mov(R13, roots);
    a.mov(R14, Layout.DATA_GPA);
    for (int space = 0; space < parameters.spaces(); space++) {
      a.call(kernel.newRoot);
      a.mov(R12, RAX);
      a.mov(RDI, RAX);
      a.mov(RSI, R14);
      a.call(kernel.mapWindow);
      a.add(R14, parameters.pages() * PAGE_BYTES);
      Label untagged = a.label();
      a.cmp(Memory.at(kernel.pcidEnabled).qword(), 0);
      a.j(Condition.E, untagged);
      a.or(R12, space + 1);
      a.bind(untagged);
      kernel.platform.loadRoot(R12);
      Label unkept = a.label();
      a.cmp(Memory.at(kernel.pcidEnabled).qword(), 0);
      a.j(Condition.E, unkept);
      a.bts(R12, KEEP_TRANSLATIONS_BIT);
      a.bind(unkept);
      a.mov(Memory.at(R13, space * 8), R12);
      emitFill();
    }
  }

  /** R12 = the space to visit; each page's first word is read and written. */
  private void emitVisit() {
    a.mov(RAX, Memory.at(R13, R12, 8, 0));
    kernel.platform.loadRoot(RAX);
    a.inc(R12);
    Label inRange = a.label();
    a.cmp(R12, parameters.spaces());
    a.j(Condition.B, inRange);
    a.xor(R12D, R12D);
    a.bind(inRange);
    a.mov(RDI, Layout.WINDOW_GVA);
    a.mov(ECX, parameters.pages());
    Label page = a.labelHere();
    a.add(RBX, Memory.at(RDI));
    a.add(Memory.at(RDI), RBP);
    a.add(RDI, PAGE_BYTES);
    a.dec(ECX);
    a.j(Condition.NE, page);
  }

  private void emitSumOfSpaces() {
    a.mov(RAX, RBX);
    for (int space = 0; space < parameters.spaces(); space++) {
      a.mov(RDX, Memory.at(R13, space * 8));
      kernel.platform.loadRoot(RDX);
      emitWindowChecksum();
    }
  }
}
