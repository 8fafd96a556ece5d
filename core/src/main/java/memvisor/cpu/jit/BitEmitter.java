package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.BitOperation;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Operation;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Register;

/** Generates tests, changes and searches of bits. */
final class BitEmitter {
  private final Operands operands;
  private final Emitter e;

  BitEmitter(Operands operands) {
    this.operands = operands;
    this.e = operands.e;
  }

  FlagState bitTest(Lowered.BitTest o, FlagState flags) {
    int position = position(o.operand(), o.index());
    Value value;
    if (o.operand() instanceof Memory m) {
      element(m, o.index());
      value = operands.readSignedHere(m.sizeBytes(), flags);
    } else {
      value = operands.readSigned(o.operand(), flags);
    }
    return new FlagState.Bit(bit(value, position), flags);
  }

  FlagState bitChange(Lowered.BitChange o, FlagState flags) {
    int position = position(o.operand(), o.index());
    e.b.lconst_1().iload(position).lshl();
    Value mask = operands.keep();
    if (!(o.operand() instanceof Memory m)) {
      return operands.change(o.operand(), flags, old -> changed(o, old, mask, position, flags));
    }
    element(m, o.index());
    int size = m.sizeBytes();
    if (!o.locked()) {
      return operands.changeHere(size, flags, old -> changed(o, old, mask, position, flags));
    }
    operands.lockHere(size, flags);
    e.constant(size);
    e.constant(atomic(o.operation()).ordinal());
    pushMask(o.operation(), mask);
    e.b.lconst_0();
    e.updateAtomically();
    return new FlagState.Bit(bit(operands.keep(), position), flags);
  }

  private static Operation atomic(BitOperation operation) {
    return switch (operation) {
      case SET -> Operation.OR;
      case RESET -> Operation.AND;
      case COMPLEMENT -> Operation.XOR;
    };
  }

  private Operands.Change changed(
      Lowered.BitChange o, Value old, Value mask, int position, FlagState flags) {
    int bit = bit(old, position);
    old.push(e);
    pushMask(o.operation(), mask);
    switch (o.operation()) {
      case SET -> e.b.lor();
      case RESET -> e.b.land();
      case COMPLEMENT -> e.b.lxor();
    }
    e.signExtend(o.operand().sizeBytes());
    return new Operands.Change(operands.keep(), new FlagState.Bit(bit, flags));
  }

  private void pushMask(BitOperation operation, Value mask) {
    mask.push(e);
    if (operation == BitOperation.RESET) {
      e.constant(-1L);
      e.b.lxor();
    }
  }

  /** The number of the bit in its element, in a new local. */
  private int position(Place operand, Place index) {
    int position = operands.newInt();
    operands.pushZeroExtended(index);
    e.b.l2i();
    e.constant(8 * operand.sizeBytes() - 1);
    e.b.iand().istore(position);
    return position;
  }

  /** Addresses the element that holds the bit: a register's index reaches beyond the operand. */
  private void element(Memory m, Place index) {
    if (!(index instanceof Register)) {
      operands.address(m);
      return;
    }
    int bytes = m.sizeBytes();
    operands.pushSigned(index);
    e.constant(Integer.numberOfTrailingZeros(8 * bytes));
    e.b.lshr();
    e.constant(Integer.numberOfTrailingZeros(bytes));
    e.b.lshl();
    operands.address(m, operands.keep());
  }

  /** One bit as 0 or 1, in a new local. */
  private int bit(Value value, int position) {
    int bit = operands.newInt();
    value.push(e);
    e.b.iload(position).lushr().l2i().iconst_1().iand().istore(bit);
    return bit;
  }

  /** BSF and BSR: a source of zero leaves the destination. */
  FlagState scan(Lowered.Scan o, FlagState flags) {
    Value source = operands.readSigned(o.source(), flags);
    Label none = e.newLabel();
    source.push(e);
    e.b.lconst_0().lcmp().ifeq(none);
    source.push(e);
    if (o.forward()) {
      e.intFunction(Long.class, "numberOfTrailingZeros");
    } else {
      e.zeroExtend(o.source().sizeBytes());
      e.intFunction(Long.class, "numberOfLeadingZeros");
      e.constant(63);
      e.b.ixor();
    }
    e.b.i2l();
    operands.write(o.destination());
    e.b.labelBinding(none);
    return new FlagState.Logical(source);
  }

  FlagState swapBytes(Lowered.SwapBytes o, FlagState flags) {
    e.b.lload(operands.frame.register(o.operand().number()));
    e.longFunction(Long.class, "reverseBytes", 1);
    if (o.operand().sizeBytes() == 4) {
      e.constant(32);
      e.b.lushr();
    }
    operands.write(o.operand());
    return flags;
  }
}
