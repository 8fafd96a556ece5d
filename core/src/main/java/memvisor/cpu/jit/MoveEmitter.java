package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Immediate;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Register;

/** Generates moves between registers, memory and the stack. */
final class MoveEmitter {
  private static final int RSP = 4;
  private static final int RBP = 5;

  private final Operands operands;
  private final Emitter e;
  private final Frame frame;

  MoveEmitter(Operands operands) {
    this.operands = operands;
    this.e = operands.e;
    this.frame = operands.frame;
  }

  FlagState move(Lowered.Move o, FlagState flags) {
    if (o.destination() instanceof Memory to) {
      Value value = operands.valueToStore(o.source());
      operands.address(to);
      operands.storeHere(to.sizeBytes(), value, flags);
      return flags;
    }
    boolean whole = !o.signed() && o.destination().sizeBytes() >= 4;
    if (o.source() instanceof Memory from) {
      int value = operands.newLong();
      operands.load(from, o.signed(), value, flags);
      e.b.lload(value);
    } else if (o.source() instanceof Immediate i) {
      operands.write(new Value.Constant(i.value()), o.destination());
      return flags;
    } else if (o.signed()) {
      operands.pushSigned(o.source());
    } else {
      operands.pushZeroExtended(o.source());
    }
    if (whole && o.destination() instanceof Register to) {
      // zero-extended already
      e.b.lstore(frame.register(to.number()));
    } else {
      operands.write(o.destination());
    }
    return flags;
  }

  FlagState lea(Lowered.Lea o, FlagState flags) {
    operands.pushOffset(o.source());
    operands.write(o.destination());
    return flags;
  }

  FlagState signOf(Lowered.SignOf o, FlagState flags) {
    operands.pushSigned(o.source());
    e.constant(63);
    e.b.lshr();
    operands.write(o.destination());
    return flags;
  }

  FlagState conditionalMove(Lowered.ConditionalMove o, FlagState flags) {
    Value value = operands.read(o.source(), false, flags);
    Label holds = e.newLabel();
    Label end = e.newLabel();
    flags.branch(e, o.condition(), holds);
    if (o.destination().sizeBytes() == 4) {
      int local = frame.register(o.destination().number());
      e.b.lload(local);
      e.zeroExtend(4);
      e.b.lstore(local);
    }
    e.b.goto_(end).labelBinding(holds);
    value.push(e);
    operands.write(o.destination());
    e.b.labelBinding(end);
    return flags;
  }

  FlagState setCondition(Lowered.SetCondition o, FlagState flags) {
    int truth = operands.newInt();
    Label end = e.newLabel();
    e.b.iconst_1().istore(truth);
    flags.branch(e, o.condition(), end);
    e.b.iconst_0().istore(truth).labelBinding(end);
    Value value = new Value.IntLocal(truth);
    if (o.destination() instanceof Memory m) {
      operands.address(m);
      operands.storeHere(1, value, flags);
    } else {
      operands.write(value, o.destination());
    }
    return flags;
  }

  // ---- the stack -------------------------------------------------------------------------------

  private void addToStackPointer(long bytes) {
    int rsp = frame.register(RSP);
    e.b.lload(rsp);
    e.constant(bytes);
    e.b.ladd().lstore(rsp);
  }

  private void addressBelowStack() {
    e.b.lload(frame.register(RSP));
    e.constant(-8L);
    e.b.ladd().lstore(frame.address);
  }

  FlagState push(Lowered.Push o, FlagState flags) {
    Value value =
        o.source() instanceof Memory
            ? operands.read(o.source(), false, flags)
            : operands.valueToStore(o.source());
    addressBelowStack();
    operands.storeHereThen(8, value, flags, flags, () -> addToStackPointer(-8));
    return flags;
  }

  FlagState pop(Lowered.Pop o, FlagState flags) {
    int value = operands.newLong();
    e.b.lload(frame.register(RSP)).lstore(frame.address);
    operands.loadHere(8, false, value, flags);
    addToStackPointer(8);
    e.b.lload(value).lstore(frame.register(o.register()));
    return flags;
  }

  FlagState leaveFrame(FlagState flags) {
    int value = operands.newLong();
    int rbp = frame.register(RBP);
    e.b.lload(rbp).lstore(frame.address);
    operands.loadHere(8, false, value, flags);
    e.b.lload(rbp);
    e.constant(8L);
    e.b.ladd().lstore(frame.register(RSP));
    e.b.lload(value).lstore(rbp);
    return flags;
  }

  // ---- parts of transfers ----------------------------------------------------------------------

  /** Pushes the address of the instruction after a call. */
  void pushReturnAddress(FlagState flags) {
    e.b.lload(frame.base);
    e.constant(operands.next());
    e.b.ladd();
    Value value = operands.keep();
    addressBelowStack();
    operands.storeHereLast(value, flags);
    addToStackPointer(-8);
  }

  /** Pops {@link Frame#target}. */
  void popReturnAddress(int releasedBytes, FlagState flags) {
    e.b.lload(frame.register(RSP)).lstore(frame.address);
    operands.loadHere(8, false, frame.target, flags);
    addToStackPointer(8L + releasedBytes);
  }
}
