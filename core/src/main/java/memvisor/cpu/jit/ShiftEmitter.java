package memvisor.cpu.jit;

import java.util.function.Function;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Register;
import memvisor.cpu.x86.Lowered.ShiftOperation;

/** Generates shifts and rotations. */
final class ShiftEmitter {
  private static final Register CL = new Register(1, 1);

  private final Operands operands;
  private final Emitter e;

  ShiftEmitter(Operands operands) {
    this.operands = operands;
    this.e = operands.e;
  }

  /** A shift by a constant from 1 to the width. */
  FlagState shift(Lowered.Shift o, FlagState flags) {
    int size = o.destination().sizeBytes();
    return operands.change(
        o.destination(),
        flags,
        old -> {
          Value result = shifted(o.operation(), old, size, () -> e.constant(o.amount()));
          return new Operands.Change(
              result, new FlagState.Shifted(o.operation(), old, result, o.amount(), size));
        });
  }

  /** A shift by CL: none changes no flag. */
  FlagState shiftByCl(Lowered.ShiftByCl o, FlagState flags) {
    int size = o.destination().sizeBytes();
    int count = count(size);
    return operands.change(
        o.destination(),
        flags,
        old -> {
          Value result = shifted(o.operation(), old, size, () -> e.b.iload(count));
          FlagState shifted = new FlagState.ShiftedBy(o.operation(), old, result, count, size);
          return new Operands.Change(result, new FlagState.Counted(count, shifted, flags));
        });
  }

  /** CL, masked, in a new local. */
  private int count(int size) {
    int count = operands.newInt();
    operands.pushZeroExtended(CL);
    e.b.l2i();
    e.constant(size == 8 ? 63 : 31);
    e.b.iand().istore(count);
    return count;
  }

  private Value shifted(ShiftOperation operation, Value operand, int size, Runnable pushAmount) {
    if (size <= 4) {
      return shiftedInt(operation, operand, size, pushAmount);
    }
    operand.push(e);
    pushAmount.run();
    switch (operation) {
      case SHL -> e.b.lshl();
      case SHR -> e.b.lushr();
      case SAR -> e.b.lshr();
      case ROL, ROR -> throw new IllegalStateException("not a shift: " + operation);
    }
    return operands.keep();
  }

  private Value shiftedInt(ShiftOperation operation, Value operand, int size, Runnable pushAmount) {
    operand.pushInt(e);
    if (operation == ShiftOperation.SHR && size < 4) {
      e.constant(0xFFFF >>> 16 - 8 * size);
      e.b.iand();
    }
    pushAmount.run();
    switch (operation) {
      case SHL -> e.b.ishl();
      case SHR -> e.b.iushr();
      case SAR -> e.b.ishr();
      case ROL, ROR -> throw new IllegalStateException("not a shift: " + operation);
    }
    e.signExtendInt(size);
    return operands.keepInt();
  }

  /** A rotation of 4 or 8 bytes by a constant. */
  FlagState rotate(Lowered.Rotate o, FlagState flags) {
    int size = o.destination().sizeBytes();
    boolean left = o.operation() == ShiftOperation.ROL;
    int amount = left ? o.amount() : 8 * size - o.amount();
    return operands.change(
        o.destination(),
        flags,
        old -> {
          Value result = rotated(old, size, amount);
          return new Operands.Change(
              result, new FlagState.Rotated(o.operation(), result, size, flags));
        });
  }

  private Value rotated(Value operand, int size, int left) {
    if (size == 8) {
      operand.push(e);
      e.constant(left);
      e.rotateLeft(8);
      return operands.keep();
    }
    operand.pushInt(e);
    e.constant(left);
    e.rotateLeft(4);
    return operands.keepInt();
  }

  /** SHLD and SHRD of 4 or 8 bytes by a constant. */
  FlagState doubleShift(Lowered.DoubleShift o, FlagState flags) {
    return operands.change(
        o.destination(), flags, doubled(o, () -> e.constant(o.amount()), flags, -1));
  }

  /** SHLD and SHRD of 4 or 8 bytes by CL. */
  FlagState doubleShiftByCl(Lowered.DoubleShift o, FlagState flags) {
    int count = count(o.destination().sizeBytes());
    return operands.change(
        o.destination(), flags, doubled(o, () -> e.b.iload(count), flags, count));
  }

  private Function<Value, Operands.Change> doubled(
      Lowered.DoubleShift o, Runnable pushAmount, FlagState flags, int count) {
    Value source = operands.readSigned(o.source(), flags);
    int size = o.destination().sizeBytes();
    return old -> {
      old.push(e);
      source.push(e);
      pushAmount.run();
      e.doubleShift(o.left(), size);
      Value result = operands.keep();
      int status = operands.newInt();
      old.push(e);
      result.push(e);
      pushAmount.run();
      e.constant(8 * size);
      e.status(o.left() ? "statusOfShld" : "statusOfShrd", 2, 2);
      e.b.istore(status);
      FlagState after = new FlagState.Status(result, status);
      return new Operands.Change(
          result, count < 0 ? after : new FlagState.Counted(count, after, flags));
    };
  }
}
