package memvisor.cpu.jit;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Operation;
import memvisor.cpu.x86.Lowered.Register;

/** Generates integer arithmetic and logic, multiplication and division. */
final class AluEmitter {
  private static final FlagState IN_PROCESSOR = new FlagState.InProcessor();
  private static final Value NOTHING = new Value.Constant(0);
  private static final int RAX = 0;
  private static final int RDX = 2;

  private final Operands operands;
  private final Emitter e;
  private final Frame frame;

  AluEmitter(Operands operands) {
    this.operands = operands;
    this.e = operands.e;
    this.frame = operands.frame;
  }

  // ---- two operands ----------------------------------------------------------------------------

  FlagState alu(Lowered.Alu o, FlagState flags) {
    Operation operation = o.operation();
    if (isZeroing(o)) {
      operands.write(NOTHING, o.destination());
      return new FlagState.Logical(NOTHING);
    }
    if (o.destination() instanceof Memory m && !writes(operation)) {
      return compareMemory(o, m, flags);
    }
    if (!writes(operation)) {
      return compare(o, flags);
    }
    // a source in memory is read first: it may fault
    Value source = operands.readSigned(o.source(), flags);
    Value carry = carryInto(operation, flags);
    boolean observed =
        operation == Operation.NOT
            || o.destination() instanceof Memory
            || operands.flagsAreObserved();
    return operands.change(
        o.destination(),
        flags,
        old -> {
          int size = o.destination().sizeBytes();
          Value result = compute(operation, size, old, source, carry);
          FlagState after =
              observed ? after(operation, size, old, source, result, flags) : IN_PROCESSOR;
          return new Operands.Change(result, after);
        });
  }

  /** XOR and SUB of a 4- or 8-byte register with itself. */
  private static boolean isZeroing(Lowered.Alu o) {
    return (o.operation() == Operation.XOR || o.operation() == Operation.SUB)
        && o.destination() instanceof Register to
        && o.destination().equals(o.source())
        && to.sizeBytes() >= 4;
  }

  private FlagState compareMemory(Lowered.Alu o, Memory m, FlagState flags) {
    Value left = operands.readSigned(m, flags);
    Value right = operands.readSigned(o.source(), flags);
    return compared(o, left, right, flags);
  }

  private FlagState compare(Lowered.Alu o, FlagState flags) {
    Value right = operands.readSigned(o.source(), flags);
    Value left =
        o.destination().equals(o.source()) ? right : operands.readSigned(o.destination(), flags);
    return compared(o, left, right, flags);
  }

  private FlagState compared(Lowered.Alu o, Value left, Value right, FlagState flags) {
    if (o.operation() == Operation.TEST && left.equals(right)) {
      return new FlagState.Logical(left);
    }
    int size = o.destination().sizeBytes();
    Value result = compute(o.operation(), size, left, right, NOTHING);
    return after(o.operation(), size, left, right, result, flags);
  }

  private static boolean writes(Operation operation) {
    return operation != Operation.CMP && operation != Operation.TEST;
  }

  /** The carry into ADC and SBB; a constant for others. */
  private Value carryInto(Operation operation, FlagState flags) {
    if (operation != Operation.ADC && operation != Operation.SBB) {
      return NOTHING;
    }
    flags.pushCarry(e);
    return operands.keepInt();
  }

  /** Computes into a new local, sign-extended. */
  private Value compute(Operation operation, int size, Value left, Value right, Value carry) {
    return size <= 4
        ? computeInt(operation, size, left, right, carry)
        : computeLong(operation, left, right, carry);
  }

  private Value computeInt(Operation operation, int size, Value left, Value right, Value carry) {
    left.pushInt(e);
    switch (operation) {
      case ADD, INC -> pushedInt(right).iadd();
      case SUB, CMP, DEC -> pushedInt(right).isub();
      case AND, TEST -> pushedInt(right).iand();
      case OR -> pushedInt(right).ior();
      case XOR -> pushedInt(right).ixor();
      case ADC -> {
        pushedInt(right).iadd();
        pushedInt(carry).iadd();
      }
      case SBB -> {
        pushedInt(right).isub();
        pushedInt(carry).isub();
      }
      case NEG -> e.b.ineg();
      case NOT -> e.b.iconst_m1().ixor();
    }
    e.signExtendInt(size);
    return operands.keepInt();
  }

  private Value computeLong(Operation operation, Value left, Value right, Value carry) {
    left.push(e);
    switch (operation) {
      case ADD, INC -> pushed(right).ladd();
      case SUB, CMP, DEC -> pushed(right).lsub();
      case AND, TEST -> pushed(right).land();
      case OR -> pushed(right).lor();
      case XOR -> pushed(right).lxor();
      case ADC -> {
        pushed(right).ladd();
        pushed(carry).ladd();
      }
      case SBB -> {
        pushed(right).lsub();
        pushed(carry).lsub();
      }
      case NEG -> e.b.lneg();
      case NOT -> {
        e.constant(-1L);
        e.b.lxor();
      }
    }
    return operands.keep();
  }

  private CodeBuilder pushed(Value value) {
    value.push(e);
    return e.b;
  }

  private CodeBuilder pushedInt(Value value) {
    value.pushInt(e);
    return e.b;
  }

  private static FlagState after(
      Operation operation, int size, Value left, Value right, Value result, FlagState before) {
    return switch (operation) {
      case ADD, ADC -> new FlagState.Sum(left, right, result);
      case SUB, CMP -> new FlagState.Difference(left, right, result, size);
      case SBB -> new FlagState.Borrowed(left, right, result);
      case OR, AND, XOR, TEST -> new FlagState.Logical(result);
      case INC -> new FlagState.Step(true, left, result, before);
      case DEC -> new FlagState.Step(false, left, result, before);
      case NEG -> new FlagState.Difference(NOTHING, left, result, size);
      case NOT -> before;
    };
  }

  // ---- read-modify-write that is atomic, or exchanges ------------------------------------------

  /** A LOCKed operation on memory. */
  FlagState locked(Lowered.LockedAlu o, FlagState flags) {
    Operation operation = o.operation();
    int size = o.destination().sizeBytes();
    Value source = operands.readSigned(o.source(), flags);
    Value carry = carryInto(operation, flags);
    operands.address(o.destination());
    operands.lockHere(size, flags);
    e.constant(size);
    e.constant(operation.ordinal());
    source.push(e);
    carry.push(e);
    e.updateAtomically();
    Value old = operands.keep();
    Value result = compute(operation, size, old, source, carry);
    return after(operation, size, old, source, result, flags);
  }

  FlagState exchange(Lowered.Exchange o, FlagState flags) {
    if (o.destination() instanceof Memory m) {
      Value source = operands.readSigned(o.register(), flags);
      operands.address(m);
      operands.lockHere(m.sizeBytes(), flags);
      e.constant(m.sizeBytes());
      source.push(e);
      e.exchangeAtomically();
      operands.write(o.register());
      return flags;
    }
    Value left = operands.readSigned(o.destination(), flags);
    Value right = operands.readSigned(o.register(), flags);
    operands.write(right, o.destination());
    operands.write(left, o.register());
    return flags;
  }

  FlagState exchangeAdd(Lowered.ExchangeAdd o, FlagState flags) {
    int size = o.destination().sizeBytes();
    Value source = operands.readSigned(o.register(), flags);
    operands.address(o.destination());
    if (!o.locked()) {
      return exchangeAddPlain(o, source, flags);
    }
    operands.lockHere(size, flags);
    e.constant(size);
    e.constant(Operation.ADD.ordinal());
    source.push(e);
    NOTHING.push(e);
    e.updateAtomically();
    Value old = operands.keep();
    Value result = compute(Operation.ADD, size, old, source, NOTHING);
    operands.write(old, o.register());
    return new FlagState.Sum(old, source, result);
  }

  private FlagState exchangeAddPlain(Lowered.ExchangeAdd o, Value source, FlagState flags) {
    int size = o.destination().sizeBytes();
    Value old = operands.loadForWriteHere(size, flags);
    Value result = compute(Operation.ADD, size, old, source, NOTHING);
    FlagState after = new FlagState.Sum(old, source, result);
    operands.storeHereThen(size, result, flags, after, () -> operands.write(old, o.register()));
    return after;
  }

  FlagState compareExchange(Lowered.CompareExchange o, FlagState flags) {
    Memory m = o.destination();
    int size = m.sizeBytes();
    Register accumulator = new Register(RAX, size);
    Value source = operands.readSigned(o.register(), flags);
    Value expected = operands.readSigned(accumulator, flags);
    operands.address(m);
    if (!o.locked()) {
      return compareExchangePlain(size, expected, source, flags);
    }
    operands.lockHere(size, flags);
    e.constant(size);
    expected.push(e);
    source.push(e);
    e.compareExchangeAtomically();
    Value old = operands.keep();
    Value result = compute(Operation.CMP, size, expected, old, NOTHING);
    keepIfDifferent(accumulator, expected, old);
    return new FlagState.Difference(expected, old, result, size);
  }

  private FlagState compareExchangePlain(int size, Value expected, Value source, FlagState flags) {
    Value old = operands.loadForWriteHere(size, flags);
    int stored = operands.newLong();
    Label same = e.newLabel();
    source.push(e);
    e.b.lstore(stored);
    expected.push(e);
    old.push(e);
    e.b.lcmp().ifeq(same);
    old.push(e);
    e.b.lstore(stored).labelBinding(same);
    Value result = compute(Operation.CMP, size, expected, old, NOTHING);
    FlagState after = new FlagState.Difference(expected, old, result, size);
    Register accumulator = new Register(RAX, size);
    operands.storeHereThen(
        size,
        new Value.Local(stored),
        flags,
        after,
        () -> keepIfDifferent(accumulator, expected, old));
    return after;
  }

  private void keepIfDifferent(Register accumulator, Value expected, Value old) {
    Label same = e.newLabel();
    expected.push(e);
    old.push(e);
    e.b.lcmp().ifeq(same);
    operands.write(old, accumulator);
    e.b.labelBinding(same);
  }

  // ---- multiplication and division -------------------------------------------------------------

  FlagState multiply(Lowered.Multiply o, FlagState flags) {
    Value left = operands.readSigned(o.left(), flags);
    Value right = operands.readSigned(o.right(), flags);
    int size = o.destination().sizeBytes();
    return size == 8 ? product64(o, left, right) : product32(o, left, right);
  }

  private FlagState product64(Lowered.Multiply o, Value left, Value right) {
    left.push(e);
    pushed(right).lmul();
    Value low = operands.keep();
    operands.write(low, o.destination());
    if (!operands.flagsAreObserved()) {
      return IN_PROCESSOR;
    }
    left.push(e);
    right.push(e);
    e.longFunction(Math.class, "multiplyHigh", 2);
    return new FlagState.Product(low, operands.keep(), signOf(low));
  }

  private FlagState product32(Lowered.Multiply o, Value left, Value right) {
    left.pushInt(e);
    pushedInt(right).imul();
    e.signExtendInt(o.destination().sizeBytes());
    Value kept = operands.keepInt();
    operands.write(kept, o.destination());
    if (!operands.flagsAreObserved()) {
      return IN_PROCESSOR;
    }
    left.push(e);
    pushed(right).lmul();
    return new FlagState.Product(kept, operands.keep(), kept);
  }

  private Value signOf(Value value) {
    value.push(e);
    e.constant(63);
    e.b.lshr();
    return operands.keep();
  }

  FlagState multiplyWide(Lowered.MultiplyWide o, FlagState flags) {
    int size = o.source().sizeBytes();
    return size == 8 ? multiply64(o, flags) : multiply32(o, flags);
  }

  private FlagState multiply64(Lowered.MultiplyWide o, FlagState flags) {
    Value right = operands.readSigned(o.source(), flags);
    int rax = frame.register(RAX);
    e.b.lload(rax);
    right.push(e);
    e.b.lmul();
    Value low = operands.keep();
    e.b.lload(rax);
    right.push(e);
    e.longFunction(Math.class, o.signed() ? "multiplyHigh" : "unsignedMultiplyHigh", 2);
    Value high = operands.keep();
    low.push(e);
    e.b.lstore(rax);
    high.push(e);
    e.b.lstore(frame.register(RDX));
    if (!operands.flagsAreObserved()) {
      return IN_PROCESSOR;
    }
    return new FlagState.Product(low, high, o.signed() ? signOf(low) : NOTHING);
  }

  private FlagState multiply32(Lowered.MultiplyWide o, FlagState flags) {
    Register eax = new Register(RAX, 4);
    Value right = operands.read(o.source(), o.signed(), flags);
    Value left = operands.read(eax, o.signed(), flags);
    left.push(e);
    right.push(e);
    e.b.lmul();
    Value product = operands.keep();
    product.push(e);
    operands.write(eax);
    product.push(e);
    e.constant(32);
    e.b.lushr();
    operands.write(new Register(RDX, 4));
    if (!operands.flagsAreObserved()) {
      return IN_PROCESSOR;
    }
    product.pushInt(e);
    Value low = operands.keepInt();
    if (o.signed()) {
      return new FlagState.Product(low, product, low);
    }
    product.push(e);
    e.constant(32);
    e.b.lushr();
    return new FlagState.Product(low, operands.keep(), NOTHING);
  }

  /** DIV and IDIV, which leave the flags as they were here; what would be #DE is rare. */
  FlagState divide(Lowered.Divide o, FlagState flags) {
    int size = o.divisor().sizeBytes();
    Value divisor = operands.read(o.divisor(), o.signed(), flags);
    divisor.push(e);
    e.b.lconst_0().lcmp().ifeq(operands.rare(flags));
    Value dividend = size == 8 ? dividend64(o.signed(), divisor, flags) : dividend32();
    Value quotient = quotient(o.signed(), "divideUnsigned", dividend, divisor);
    if (size == 4) {
      quotient.push(e);
      quotient.push(e);
      if (o.signed()) {
        e.signExtend(4);
      } else {
        e.zeroExtend(4);
      }
      e.b.lcmp().ifne(operands.rare(flags));
    }
    Value remainder = quotient(o.signed(), "remainderUnsigned", dividend, divisor);
    quotient.push(e);
    operands.write(new Register(RAX, size));
    remainder.push(e);
    operands.write(new Register(RDX, size));
    return flags;
  }

  private Value quotient(boolean signed, String unsignedFunction, Value dividend, Value divisor) {
    dividend.push(e);
    divisor.push(e);
    if (!signed) {
      e.longFunction(Long.class, unsignedFunction, 2);
    } else if (unsignedFunction.startsWith("divide")) {
      e.b.ldiv();
    } else {
      e.b.lrem();
    }
    return operands.keep();
  }

  /** EDX:EAX. */
  private Value dividend32() {
    e.b.lload(frame.register(RDX));
    e.constant(32);
    e.b.lshl();
    operands.pushZeroExtended(new Register(RAX, 4));
    e.b.lor();
    return operands.keep();
  }

  /** RAX, where RDX says no more than its sign; the smallest number over -1 overflows. */
  private Value dividend64(boolean signed, Value divisor, FlagState flags) {
    int rax = frame.register(RAX);
    e.b.lload(frame.register(RDX));
    if (signed) {
      e.b.lload(rax);
      e.constant(63);
      e.b.lshr();
    } else {
      e.b.lconst_0();
    }
    e.b.lcmp().ifne(operands.rare(flags));
    if (signed) {
      divisor.push(e);
      e.constant(-1L);
      e.b.lcmp().ifeq(operands.rare(flags));
    }
    return new Value.Local(rax);
  }
}
