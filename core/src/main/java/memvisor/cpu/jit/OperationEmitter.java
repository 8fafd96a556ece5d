package memvisor.cpu.jit;

import java.lang.classfile.Label;
import java.util.ArrayList;
import java.util.List;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.HighByte;
import memvisor.cpu.x86.Lowered.Immediate;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Register;

/** Generates the code of single operations. */
final class OperationEmitter {
  private static final FlagState IN_PROCESSOR = new FlagState.InProcessor();
  private static final int RAX = 0;
  private static final int RDX = 2;
  private static final int RSP = 4;
  private static final int RBP = 5;

  private final HotCode code;
  private final Emitter e;
  private final Frame frame;
  private final MemoryEmitter memory;
  private final Label leave;
  private final int[] firstNumber;

  /** Temporaries, reused from block to block. */
  private final List<Integer> longs = new ArrayList<>();

  private final List<Integer> ints = new ArrayList<>();
  private int longsInUse;
  private int intsInUse;

  /** The instruction being generated: its block, its index there, its number in the unit. */
  private int block;

  private int index;
  private int number;

  OperationEmitter(HotCode code, Emitter e, Frame frame, Exits exits, Label leave) {
    this.code = code;
    this.e = e;
    this.frame = frame;
    this.leave = leave;
    this.memory = new MemoryEmitter(e, frame, exits);
    this.firstNumber = new int[code.blocks()];
    for (int b = 1; b < firstNumber.length; b++) {
      firstNumber[b] = firstNumber[b - 1] + code.instructions(b - 1);
    }
  }

  /** No value of the block before is needed any more. */
  void startBlock() {
    longsInUse = 0;
    intsInUse = 0;
  }

  private int newLong() {
    if (longsInUse == longs.size()) {
      longs.add(e.newLong());
    }
    return longs.get(longsInUse++);
  }

  private int newInt() {
    if (intsInUse == ints.size()) {
      ints.add(e.newInt());
    }
    return ints.get(intsInUse++);
  }

  private void at(int newBlock, int newIndex) {
    block = newBlock;
    index = newIndex;
    number = firstNumber[newBlock] + newIndex;
  }

  /** Generates one instruction; answers where the flags are after it. */
  FlagState emit(int newBlock, int newIndex, FlagState flags) {
    at(newBlock, newIndex);
    return switch (code.lowered(newBlock, newIndex)) {
      case Lowered.Alu o -> alu(o, flags);
      case Lowered.Move o -> move(o, flags);
      case Lowered.Lea o -> {
        memory.pushOffset(o.address(), code.start(block));
        write(o.destination());
        yield flags;
      }
      case Lowered.Push o -> push(o, flags);
      case Lowered.Pop o -> pop(o, flags);
      case Lowered.ConditionalMove o -> conditionalMove(o, flags);
      case Lowered.SetCondition o -> setCondition(o, flags);
      case Lowered.Shift o -> shift(o);
      case Lowered.Rotate o -> rotate(o, flags);
      case Lowered.Multiply o -> multiply(o, flags);
      case Lowered.MultiplyWide o -> multiplyWide(o, flags);
      case Lowered.BitTest o -> bitTest(o, flags);
      case Lowered.SwapBytes o -> swapBytes(o, flags);
      case Lowered.SignOf o -> {
        pushSigned(o.source());
        e.constant(63);
        e.b.lshr();
        write(o.destination());
        yield flags;
      }
      case Lowered.Leave unused -> leaveFrame(flags);
      case Lowered.Nop unused -> flags;
      case Lowered.Opaque unused -> opaque(flags);
      case Lowered.Transfer unused -> throw new IllegalStateException("a transfer inside a block");
    };
  }

  private boolean observed() {
    return !FlagLiveness.deadAt(code, block, index + 1);
  }

  // ---- places --------------------------------------------------------------------------------

  /** Pushes a register or constant, sign-extended. */
  private void pushSigned(Place place) {
    switch (place) {
      case Register r -> {
        e.b.lload(frame.register(r.number()));
        e.signExtend(r.sizeBytes());
      }
      case HighByte r -> {
        e.b.lload(frame.register(r.number()));
        e.constant(8);
        e.b.lushr();
        e.signExtend(1);
      }
      case Immediate i -> e.constant(signed(i));
      case Memory m -> throw new IllegalStateException("not loaded: " + m);
    }
  }

  private static long signed(Immediate i) {
    int unused = 64 - 8 * i.sizeBytes();
    return i.value() << unused >> unused;
  }

  /** Pushes a register or constant, zero-extended; a constant stays sign-extended. */
  private void pushZeroExtended(Place place) {
    switch (place) {
      case Register r -> {
        e.b.lload(frame.register(r.number()));
        e.zeroExtend(r.sizeBytes());
      }
      case HighByte r -> {
        e.b.lload(frame.register(r.number()));
        e.constant(8);
        e.b.lushr();
        e.zeroExtend(1);
      }
      case Immediate i -> e.constant(i.value());
      case Memory m -> throw new IllegalStateException("not loaded: " + m);
    }
  }

  private void pushExtended(Place place, boolean signed) {
    if (signed) {
      pushSigned(place);
    } else {
      pushZeroExtended(place);
    }
  }

  /** Reads a place, sign-extended, into a value that stays. */
  private Value readSigned(Place place, FlagState flags) {
    if (place instanceof Immediate i) {
      return new Value.Constant(signed(i));
    }
    int local = newLong();
    if (place instanceof Memory m) {
      load(m, true, local, flags);
    } else {
      pushSigned(place);
      e.b.lstore(local);
    }
    return new Value.Local(local);
  }

  private void load(Memory m, boolean signed, int to, FlagState flags) {
    memory.address(m.address(), code.start(block));
    memory.load(m.sizeBytes(), signed, to, flags, number);
  }

  /** Writes the long on the stack to a register; only its low bytes count. */
  private void write(Place place) {
    switch (place) {
      case Register r -> {
        int local = frame.register(r.number());
        if (r.sizeBytes() < 4) {
          long mask = -1L >>> 64 - 8 * r.sizeBytes();
          e.constant(mask);
          e.b.land().lload(local);
          e.constant(~mask);
          e.b.land().lor();
        } else {
          e.zeroExtend(r.sizeBytes());
        }
        e.b.lstore(local);
      }
      case HighByte r -> {
        int local = frame.register(r.number());
        e.constant(0xFFL);
        e.b.land();
        e.constant(8);
        e.b.lshl().lload(local);
        e.constant(~0xFF00L);
        e.b.land().lor().lstore(local);
      }
      case Immediate i -> throw new IllegalStateException("a constant as destination: " + i);
      case Memory m -> throw new IllegalStateException("not a register: " + m);
    }
  }

  // ---- arithmetic ----------------------------------------------------------------------------

  private FlagState alu(Lowered.Alu o, FlagState flags) {
    if (o.destination() instanceof Memory m) {
      return aluMemory(o, m, flags);
    }
    Value right = readSigned(o.source(), flags);
    int left = newLong();
    pushSigned(o.destination());
    e.b.lstore(left);
    int carry = carryInto(o.operation(), flags);
    int result = compute(o, left, right, carry);
    if (writes(o.operation())) {
      e.b.lload(result);
      write(o.destination());
    }
    return observed() || o.operation() == Lowered.Operation.NOT
        ? after(o.operation(), left, right, result, flags)
        : IN_PROCESSOR;
  }

  private static boolean writes(Lowered.Operation operation) {
    return operation != Lowered.Operation.CMP && operation != Lowered.Operation.TEST;
  }

  private FlagState aluMemory(Lowered.Alu o, Memory m, FlagState flags) {
    int left = newLong();
    memory.address(m.address(), code.start(block));
    if (writes(o.operation())) {
      memory.loadForWrite(m.sizeBytes(), left, flags, number);
    } else {
      memory.load(m.sizeBytes(), true, left, flags, number);
    }
    Value right = readSigned(o.source(), flags);
    int carry = carryInto(o.operation(), flags);
    int result = compute(o, left, right, carry);
    FlagState after = after(o.operation(), left, right, result, flags);
    if (writes(o.operation())) {
      Value value = new Value.Local(result);
      memory.storeThen(m.sizeBytes(), value, flags, after, number, () -> {});
    }
    return after;
  }

  /** The local that holds the carry into ADC and SBB; -1 for others. */
  private int carryInto(Lowered.Operation operation, FlagState flags) {
    if (operation != Lowered.Operation.ADC && operation != Lowered.Operation.SBB) {
      return -1;
    }
    int carry = newInt();
    flags.pushCarry(e);
    e.b.istore(carry);
    return carry;
  }

  /** Computes into a new local, sign-extended. */
  private int compute(Lowered.Alu o, int left, Value right, int carry) {
    e.b.lload(left);
    switch (o.operation()) {
      case ADD, INC -> pushed(right).ladd();
      case SUB, CMP, DEC -> pushed(right).lsub();
      case AND, TEST -> pushed(right).land();
      case OR -> pushed(right).lor();
      case XOR -> pushed(right).lxor();
      case ADC -> pushed(right).ladd().iload(carry).i2l().ladd();
      case SBB -> pushed(right).lsub().iload(carry).i2l().lsub();
      case NEG -> e.b.lneg();
      case NOT -> {
        e.constant(-1L);
        e.b.lxor();
      }
    }
    e.signExtend(o.destination().sizeBytes());
    int result = newLong();
    e.b.lstore(result);
    return result;
  }

  private java.lang.classfile.CodeBuilder pushed(Value value) {
    value.push(e);
    return e.b;
  }

  private static FlagState after(
      Lowered.Operation operation, int left, Value right, int result, FlagState before) {
    Value a = new Value.Local(left);
    Value r = new Value.Local(result);
    return switch (operation) {
      case ADD, ADC -> new FlagState.Sum(a, right, r);
      case SUB, CMP -> new FlagState.Difference(a, right, r);
      case SBB -> new FlagState.Borrowed(a, right, r);
      case OR, AND, XOR, TEST -> new FlagState.Logical(r);
      case INC -> new FlagState.Step(true, a, r, before);
      case DEC -> new FlagState.Step(false, a, r, before);
      case NEG -> new FlagState.Difference(new Value.Constant(0), a, r);
      case NOT -> before;
    };
  }

  private FlagState shift(Lowered.Shift o) {
    int size = o.destination().sizeBytes();
    int operand = newLong();
    int result = newLong();
    pushSigned(o.destination());
    e.b.dup2().lstore(operand);
    if (o.operation() == Lowered.ShiftOperation.SHR) {
      e.zeroExtend(size);
    }
    e.constant(o.amount());
    switch (o.operation()) {
      case SHL -> e.b.lshl();
      case SHR -> e.b.lushr();
      case SAR -> e.b.lshr();
      case ROL, ROR -> throw new IllegalStateException("not a shift: " + o);
    }
    e.signExtend(size);
    e.b.dup2().lstore(result);
    write(o.destination());
    return new FlagState.Shifted(
        o.operation(), new Value.Local(operand), new Value.Local(result), o.amount(), size);
  }

  private FlagState rotate(Lowered.Rotate o, FlagState flags) {
    int size = o.destination().sizeBytes();
    boolean left = o.operation() == Lowered.ShiftOperation.ROL;
    int amount = left ? o.amount() : 8 * size - o.amount();
    int result = newLong();
    pushZeroExtended(o.destination());
    e.b.dup2();
    e.constant(amount);
    e.b.lshl().dup2_x2().pop2();
    e.constant(8 * size - amount);
    e.b.lushr().lor();
    e.signExtend(size);
    e.b.dup2().lstore(result);
    write(o.destination());
    return new FlagState.Rotated(o.operation(), new Value.Local(result), size, flags);
  }

  private FlagState multiply(Lowered.Multiply o, FlagState flags) {
    Value left = readSigned(o.left(), flags);
    Value right = readSigned(o.right(), flags);
    int size = o.destination().sizeBytes();
    int product = newLong();
    int kept = newLong();
    left.push(e);
    right.push(e);
    e.b.lmul().lstore(product);
    e.b.lload(product);
    e.signExtend(size);
    e.b.dup2().lstore(kept);
    write(o.destination());
    if (!observed()) {
      return IN_PROCESSOR;
    }
    if (size == 8) {
      left.push(e);
      right.push(e);
      e.longFunction(Math.class, "multiplyHigh", 2);
      e.b.lload(product);
      e.constant(63);
      e.b.lshr();
    } else {
      e.b.lload(product).lload(kept);
    }
    return new FlagState.Product(new Value.Local(kept), lost());
  }

  /** CF and OF set if the two longs on the stack differ, in a new local. */
  private int lost() {
    int status = newInt();
    Label same = e.newLabel();
    e.b.iconst_0().istore(status).lcmp().ifeq(same);
    e.constant(0x801);
    e.b.istore(status).labelBinding(same);
    return status;
  }

  private FlagState multiplyWide(Lowered.MultiplyWide o, FlagState flags) {
    Value right = readSigned(o.source(), flags);
    int rax = frame.register(RAX);
    int rdx = frame.register(RDX);
    int low = newLong();
    e.b.lload(rax);
    right.push(e);
    e.b.lmul().lstore(low);
    int high = newLong();
    e.b.lload(rax);
    right.push(e);
    e.longFunction(Math.class, o.signed() ? "multiplyHigh" : "unsignedMultiplyHigh", 2);
    e.b.lstore(high);
    e.b.lload(low).lstore(rax).lload(high).lstore(rdx);
    if (!observed()) {
      return IN_PROCESSOR;
    }
    e.b.lload(high);
    if (o.signed()) {
      e.b.lload(low);
      e.constant(63);
      e.b.lshr();
    } else {
      e.constant(0L);
    }
    return new FlagState.Product(new Value.Local(low), lost());
  }

  private FlagState bitTest(Lowered.BitTest o, FlagState flags) {
    int bit = newInt();
    e.b.lload(frame.register(o.operand().number()));
    pushZeroExtended(o.index());
    e.b.l2i();
    e.constant(8 * o.operand().sizeBytes() - 1);
    e.b.iand().lushr().l2i().iconst_1().iand().istore(bit);
    return new FlagState.Bit(bit, flags);
  }

  private FlagState swapBytes(Lowered.SwapBytes o, FlagState flags) {
    e.b.lload(frame.register(o.operand().number()));
    e.longFunction(Long.class, "reverseBytes", 1);
    if (o.operand().sizeBytes() == 4) {
      e.constant(32);
      e.b.lushr();
    }
    write(o.operand());
    return flags;
  }

  // ---- moves ---------------------------------------------------------------------------------

  private FlagState move(Lowered.Move o, FlagState flags) {
    if (o.destination() instanceof Memory to) {
      memory.address(to.address(), code.start(block));
      memory.store(to.sizeBytes(), valueToStore(o.source()), flags, number);
      return flags;
    }
    if (o.source() instanceof Memory from) {
      int value = newLong();
      load(from, o.signed(), value, flags);
      e.b.lload(value);
    } else {
      pushExtended(o.source(), o.signed());
    }
    write(o.destination());
    return flags;
  }

  private Value valueToStore(Place source) {
    return switch (source) {
      case Register r -> new Value.Local(frame.register(r.number()));
      case Immediate i -> new Value.Constant(i.value());
      case HighByte r -> {
        int value = newLong();
        pushZeroExtended(r);
        e.b.lstore(value);
        yield new Value.Local(value);
      }
      case Memory m -> throw new IllegalStateException("memory to memory: " + m);
    };
  }

  private FlagState conditionalMove(Lowered.ConditionalMove o, FlagState flags) {
    int value = newLong();
    if (o.source() instanceof Memory m) {
      load(m, false, value, flags);
    } else {
      pushZeroExtended(o.source());
      e.b.lstore(value);
    }
    Label holds = e.newLabel();
    Label end = e.newLabel();
    flags.branch(e, o.condition(), holds);
    if (o.destination().sizeBytes() == 4) {
      int local = frame.register(o.destination().number());
      e.b.lload(local);
      e.zeroExtend(4);
      e.b.lstore(local);
    }
    e.b.goto_(end).labelBinding(holds).lload(value);
    write(o.destination());
    e.b.labelBinding(end);
    return flags;
  }

  private FlagState setCondition(Lowered.SetCondition o, FlagState flags) {
    int value = newLong();
    Label end = e.newLabel();
    e.b.lconst_1().lstore(value);
    flags.branch(e, o.condition(), end);
    e.b.lconst_0().lstore(value).labelBinding(end);
    if (o.destination() instanceof Memory m) {
      memory.address(m.address(), code.start(block));
      memory.store(1, new Value.Local(value), flags, number);
    } else {
      e.b.lload(value);
      write(o.destination());
    }
    return flags;
  }

  // ---- the stack -----------------------------------------------------------------------------

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

  private FlagState push(Lowered.Push o, FlagState flags) {
    Value value;
    if (o.source() instanceof Memory m) {
      int local = newLong();
      load(m, false, local, flags);
      value = new Value.Local(local);
    } else {
      value = valueToStore(o.source());
    }
    addressBelowStack();
    memory.storeThen(8, value, flags, flags, number, () -> addToStackPointer(-8));
    return flags;
  }

  private FlagState pop(Lowered.Pop o, FlagState flags) {
    int value = newLong();
    e.b.lload(frame.register(RSP)).lstore(frame.address);
    memory.load(8, false, value, flags, number);
    addToStackPointer(8);
    e.b.lload(value).lstore(frame.register(o.register()));
    return flags;
  }

  private FlagState leaveFrame(FlagState flags) {
    int value = newLong();
    int rbp = frame.register(RBP);
    e.b.lload(rbp).lstore(frame.address);
    memory.load(8, false, value, flags, number);
    e.b.lload(rbp);
    e.constant(8L);
    e.b.ladd().lstore(frame.register(RSP));
    e.b.lload(value).lstore(rbp);
    return flags;
  }

  // ---- parts of transfers --------------------------------------------------------------------

  /** Reads where an indirect transfer goes to; answers the local. */
  int readTarget(Place place, int newBlock, int newIndex, FlagState flags) {
    at(newBlock, newIndex);
    int target = newLong();
    if (place instanceof Memory m) {
      load(m, false, target, flags);
    } else {
      pushZeroExtended(place);
      e.b.lstore(target);
    }
    return target;
  }

  /** Pushes the address of the instruction after a call. */
  void pushReturnAddress(int newBlock, int newIndex, FlagState flags) {
    at(newBlock, newIndex);
    int value = newLong();
    e.b.lload(frame.base);
    e.constant((long) code.start(block) + code.after(block, index));
    e.b.ladd().lstore(value);
    addressBelowStack();
    memory.storeLast(8, new Value.Local(value), flags, number);
    addToStackPointer(-8);
  }

  /** Pops {@link Frame#target}. */
  void popReturnAddress(int releasedBytes, int newBlock, int newIndex, FlagState flags) {
    at(newBlock, newIndex);
    e.b.lload(frame.register(RSP)).lstore(frame.address);
    memory.load(8, false, frame.target, flags, number);
    addToStackPointer(8L + releasedBytes);
  }

  // ---- the rest ------------------------------------------------------------------------------

  private FlagState opaque(FlagState flags) {
    Label next = e.newLabel();
    flags.store(e);
    frame.spill();
    e.b.aload(0).aload(Emitter.CPU).lload(frame.base).iload(frame.retired);
    e.constant(number);
    e.opaque();
    e.b.dup().istore(frame.exit).ifeq(next);
    e.b.iload(frame.exit);
    e.constant(number << Exits.KIND_BITS);
    e.b.ior().istore(frame.exit).goto_(leave).labelBinding(next);
    frame.reload();
    return IN_PROCESSOR;
  }
}
