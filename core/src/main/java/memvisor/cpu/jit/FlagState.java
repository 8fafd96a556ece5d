package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.CarriedFlags;
import memvisor.cpu.x86.Lowered.ShiftOperation;

/**
 * Where the status flags are at a point of generated code: in the processor, or implied by the
 * operands and result of the last operation that set them, which are in locals.
 *
 * <p>Operands and results are sign-extended, as the interpreter's lazy flags have them. Nothing is
 * computed before something asks.
 */
sealed interface FlagState {
  /** Stores the flags into the processor. */
  void store(Emitter e);

  /** Jumps to {@code target} if the condition, as in the opcode, holds. */
  void branch(Emitter e, int condition, Label target);

  /** Leaves the flags to the next block of the unit: in the processor, if nothing better. */
  default void carry(Emitter e, Carried to) {
    store(e);
    to.set(e, CarriedFlags.IN_PROCESSOR);
  }

  /** Pushes CF as 0 or 1. */
  default void pushCarry(Emitter e) {
    Label set = e.newLabel();
    Label end = e.newLabel();
    branch(e, 2, set);
    e.b.iconst_0().goto_(end).labelBinding(set).iconst_1().labelBinding(end);
  }

  /** Jumps on the truth value on the stack, or on its opposite. */
  private static void jump(Emitter e, int condition, Label target) {
    if ((condition & 1) == 0) {
      e.b.ifne(target);
    } else {
      e.b.ifeq(target);
    }
  }

  /** Jumps if {@code value} is zero (or not, for an odd condition). */
  private static void jumpIfZero(Emitter e, Value value, int condition, Label target) {
    pushSign(e, value);
    if ((condition & 1) == 0) {
      e.b.ifeq(target);
    } else {
      e.b.ifne(target);
    }
  }

  private static void jumpIfNegative(Emitter e, Value value, int condition, Label target) {
    pushSign(e, value);
    jumpOnComparison(e, condition, false, target);
  }

  /** Pushes an int that is negative, zero or positive as {@code value} is. */
  private static void pushSign(Emitter e, Value value) {
    if (value.isInt()) {
      value.pushInt(e);
    } else {
      value.push(e);
      e.b.lconst_0().lcmp();
    }
  }

  /** Jumps if the comparison on the stack is less (or equal), or for an odd condition if not. */
  private static void jumpOnComparison(Emitter e, int condition, boolean orEqual, Label target) {
    if ((condition & 1) == 0) {
      if (orEqual) {
        e.b.ifle(target);
      } else {
        e.b.iflt(target);
      }
    } else if (orEqual) {
      e.b.ifgt(target);
    } else {
      e.b.ifge(target);
    }
  }

  private static void never(Emitter e, int condition, Label target) {
    if ((condition & 1) != 0) {
      e.b.goto_(target);
    }
  }

  /** The processor holds them. */
  record InProcessor() implements FlagState {
    @Override
    public void store(Emitter e) {
      // they are there
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      e.pushFlags();
      e.constant(condition & ~1);
      e.flagsCondition();
      jump(e, condition, target);
    }
  }

  /**
   * What a block of the unit left to the next, in fixed locals: a kind (int), which only execution
   * knows, and the longs that it needs. Nothing is stored in the processor before something asks.
   */
  record Carried(int kind, int left, int right, int result, int stepLeft, int stepResult)
      implements FlagState {
    static Carried in(Emitter e) {
      return new Carried(
          e.newInt(), e.newLong(), e.newLong(), e.newLong(), e.newLong(), e.newLong());
    }

    /** At the unit's entry: the processor holds them. */
    void reset(Emitter e) {
      set(e, CarriedFlags.IN_PROCESSOR);
      for (int local : new int[] {left, right, result, stepLeft, stepResult}) {
        e.b.lconst_0().lstore(local);
      }
    }

    void set(Emitter e, int newKind) {
      e.constant(newKind);
      e.b.istore(kind);
    }

    void set(Emitter e, int newKind, Value newLeft, Value newRight, Value newResult) {
      set(e, newLeft, left);
      set(e, newRight, right);
      set(e, newResult, result);
      set(e, newKind);
    }

    void set(Emitter e, Value value, int local) {
      value.push(e);
      e.b.lstore(local);
    }

    /** INC or DEC came after what this holds. */
    void step(Emitter e, boolean up, Value from, Value to) {
      e.b.iload(kind);
      e.constant(CarriedFlags.STEP_UP - 1);
      e.b.iand();
      e.constant(up ? CarriedFlags.STEP_UP : CarriedFlags.STEP_DOWN);
      e.b.ior().istore(kind);
      set(e, from, stepLeft);
      set(e, to, stepResult);
    }

    private void push(Emitter e) {
      e.b.aload(Emitter.CPU).iload(kind).lload(left).lload(right).lload(result);
      e.b.lload(stepLeft).lload(stepResult);
    }

    @Override
    public void carry(Emitter e, Carried to) {
      // they are there
    }

    @Override
    public void store(Emitter e) {
      push(e);
      e.storeCarriedFlags();
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      if (condition >>> 1 == 1) {
        e.b.aload(Emitter.CPU).iload(kind).lload(left).lload(right).lload(result);
        e.carriedCarry();
      } else {
        push(e);
        e.constant(condition & ~1);
        e.carriedCondition();
      }
      jump(e, condition, target);
    }
  }

  /** {@code left - right = result} in so many bytes. */
  record Difference(Value left, Value right, Value result, int bytes) implements FlagState {
    @Override
    public void carry(Emitter e, Carried to) {
      to.set(e, left, to.left);
      to.set(e, right, to.right);
      to.set(e, CarriedFlags.DIFFERENCE | 64 - 8 * bytes << CarriedFlags.UNUSED_SHIFT);
    }

    @Override
    public void store(Emitter e) {
      e.pushFlags();
      left.push(e);
      right.push(e);
      result.push(e);
      e.setFlags("sub", 3);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      switch (condition >>> 1) {
        case 0 -> {
          left.push(e);
          right.push(e);
          result.push(e);
          e.test("overflowOfSub", 3);
          jump(e, condition, target);
        }
        case 1, 3 -> {
          pushUnsignedComparison(e);
          jumpOnComparison(e, condition, condition >>> 1 == 3, target);
        }
        case 2 -> {
          jumpIfZero(e, result, condition, target);
        }
        case 4 -> {
          jumpIfNegative(e, result, condition, target);
        }
        case 5 -> {
          result.push(e);
          e.test("parity", 1);
          jump(e, condition, target);
        }
        default -> jumpIfLess(e, condition, target);
      }
    }

    private boolean isOfInts() {
      return left.isInt() && right.isInt();
    }

    private void pushUnsignedComparison(Emitter e) {
      if (isOfInts()) {
        left.pushInt(e);
        right.pushInt(e);
        e.compareUnsignedInts();
      } else {
        left.push(e);
        right.push(e);
        e.compareUnsigned();
      }
    }

    private void jumpIfLess(Emitter e, int condition, Label target) {
      if (isOfInts()) {
        left.pushInt(e);
        right.pushInt(e);
        switch (condition & 3) {
          case 0 -> e.b.if_icmplt(target);
          case 1 -> e.b.if_icmpge(target);
          case 2 -> e.b.if_icmple(target);
          default -> e.b.if_icmpgt(target);
        }
      } else {
        left.push(e);
        right.push(e);
        e.b.lcmp();
        jumpOnComparison(e, condition, condition >>> 1 == 7, target);
      }
    }
  }

  /** The result of a logical operation. */
  record Logical(Value result) implements FlagState {
    @Override
    public void carry(Emitter e, Carried to) {
      to.set(e, result, to.result);
      to.set(e, CarriedFlags.LOGICAL);
    }

    @Override
    public void store(Emitter e) {
      e.pushFlags();
      result.push(e);
      e.setFlags("logic", 1);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      switch (condition >>> 1) {
        case 0, 1 -> never(e, condition, target);
        case 2, 3 -> {
          jumpIfZero(e, result, condition, target);
        }
        case 4, 6 -> {
          jumpIfNegative(e, result, condition, target);
        }
        case 5 -> {
          result.push(e);
          e.test("parity", 1);
          jump(e, condition, target);
        }
        default -> {
          pushSign(e, result);
          jumpOnComparison(e, condition, true, target);
        }
      }
    }
  }

  /**
   * Any other setter: zero, sign and parity follow {@code result}; what else is asked for is read
   * from the processor after {@code store}, which costs but is rare.
   */
  sealed interface Result extends FlagState {
    Value result();

    @Override
    default void branch(Emitter e, int condition, Label target) {
      switch (condition >>> 1) {
        case 2 -> {
          jumpIfZero(e, result(), condition, target);
        }
        case 4 -> {
          jumpIfNegative(e, result(), condition, target);
        }
        case 5 -> {
          result().push(e);
          e.test("parity", 1);
          jump(e, condition, target);
        }
        default -> {
          store(e);
          new InProcessor().branch(e, condition, target);
        }
      }
    }
  }

  /** {@code left + right (+ carry) = result}. */
  record Sum(Value left, Value right, Value result) implements Result {
    @Override
    public void carry(Emitter e, Carried to) {
      to.set(e, CarriedFlags.SUM, left, right, result);
    }

    @Override
    public void store(Emitter e) {
      e.pushFlags();
      left.push(e);
      right.push(e);
      result.push(e);
      e.setFlags("add", 3);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      if (condition >>> 1 == 1) {
        left.push(e);
        right.push(e);
        result.push(e);
        e.test("carryOfAdd", 3);
        jump(e, condition, target);
      } else {
        Result.super.branch(e, condition, target);
      }
    }
  }

  /** {@code left - right - borrow = result}. */
  record Borrowed(Value left, Value right, Value result) implements Result {
    @Override
    public void carry(Emitter e, Carried to) {
      to.set(e, CarriedFlags.BORROWED, left, right, result);
    }

    @Override
    public void store(Emitter e) {
      e.pushFlags();
      left.push(e);
      right.push(e);
      result.push(e);
      e.setFlags("sbb", 3);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      if (condition >>> 1 == 1) {
        left.push(e);
        right.push(e);
        result.push(e);
        e.test("carryOfSbb", 3);
        jump(e, condition, target);
      } else {
        Result.super.branch(e, condition, target);
      }
    }
  }

  /** INC or DEC: CF is what it was before. */
  record Step(boolean up, Value left, Value result, FlagState before) implements Result {
    @Override
    public void carry(Emitter e, Carried to) {
      FlagState root = before;
      while (root instanceof Step step) {
        root = step.before;
      }
      root.carry(e, to);
      to.step(e, up, left, result);
    }

    @Override
    public void store(Emitter e) {
      before.store(e);
      e.pushFlags();
      left.push(e);
      result.push(e);
      e.setFlags(up ? "inc" : "dec", 2);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      if (condition >>> 1 == 1) {
        before.branch(e, condition, target);
      } else {
        Result.super.branch(e, condition, target);
      }
    }
  }

  /**
   * A comparison of floating-point numbers: ZF, PF and CF are in the int local {@code image}, the
   * others are clear.
   */
  record Order(int image) implements FlagState {
    private static final int CF = 1;
    private static final int PF = 1 << 2;
    private static final int ZF = 1 << 6;

    @Override
    public void store(Emitter e) {
      e.pushFlags();
      e.b.iload(image);
      e.setStatus();
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      int mask =
          switch (condition >>> 1) {
            case 1 -> CF;
            case 2, 7 -> ZF;
            case 3 -> CF | ZF;
            case 5 -> PF;
            default -> 0;
          };
      if (mask == 0) {
        never(e, condition, target);
        return;
      }
      e.b.iload(image);
      e.constant(mask);
      e.b.iand();
      jump(e, condition, target);
    }
  }

  /** A shift by a constant. */
  record Shifted(ShiftOperation operation, Value operand, Value result, int amount, int bytes)
      implements Result {
    @Override
    public void store(Emitter e) {
      e.pushFlags();
      result.push(e);
      operand.push(e);
      switch (operation) {
        case SHL -> {
          result.push(e);
          e.constant(amount);
          e.constant(8 * bytes);
          e.status("statusOfShl", 2, 2);
        }
        case SHR -> {
          e.constant(amount);
          e.status("statusOfShr", 1, 1);
        }
        case SAR -> {
          e.constant(amount);
          e.status("statusOfSar", 1, 1);
        }
        case ROL, ROR -> throw new IllegalStateException("not a shift: " + operation);
      }
      e.setResult();
    }
  }

  /** A shift of 4 or 8 bytes by an int local that is not zero. */
  record ShiftedBy(ShiftOperation operation, Value operand, Value result, int count, int bytes)
      implements Result {
    @Override
    public void store(Emitter e) {
      e.pushFlags();
      result.push(e);
      operand.push(e);
      switch (operation) {
        case SHL -> {
          result.push(e);
          e.b.iload(count);
          e.constant(8 * bytes);
          e.status("statusOfShl", 2, 2);
        }
        case SHR -> {
          e.b.iload(count);
          e.status("statusOfShr", 1, 1);
        }
        case SAR -> {
          e.b.iload(count);
          e.status("statusOfSar", 1, 1);
        }
        case ROL, ROR -> throw new IllegalStateException("not a shift: " + operation);
      }
      e.setResult();
    }
  }

  /** The flags after an operation repeated {@code count} times, an int local: none changes none. */
  record Counted(int count, FlagState after, FlagState before) implements FlagState {
    @Override
    public void store(Emitter e) {
      Label none = e.newLabel();
      Label end = e.newLabel();
      e.b.iload(count).ifeq(none);
      after.store(e);
      e.b.goto_(end).labelBinding(none);
      before.store(e);
      e.b.labelBinding(end);
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      Label none = e.newLabel();
      Label end = e.newLabel();
      e.b.iload(count).ifeq(none);
      after.branch(e, condition, target);
      e.b.goto_(end).labelBinding(none);
      before.branch(e, condition, target);
      e.b.labelBinding(end);
    }
  }

  /** A product: CF and OF are set if the longs {@code high} and {@code sign} differ. */
  record Product(Value result, Value high, Value sign) implements Result {
    @Override
    public void store(Emitter e) {
      e.pushFlags();
      result.push(e);
      high.push(e);
      sign.push(e);
      e.status("statusOfProduct", 2, 0);
      e.setResult();
    }
  }

  /** A double shift; {@code status} is an int local with CF and OF. */
  record Status(Value result, int status) implements Result {
    @Override
    public void store(Emitter e) {
      e.pushFlags();
      result.push(e);
      e.b.iload(status);
      e.setResult();
    }
  }

  /** A rotation by a constant: CF and OF change, the others are what they were. */
  record Rotated(ShiftOperation operation, Value result, int bytes, FlagState before)
      implements FlagState {
    @Override
    public void store(Emitter e) {
      before.store(e);
      e.pushFlags();
      result.push(e);
      e.constant(8 * bytes);
      e.status(operation == ShiftOperation.ROL ? "statusOfRol" : "statusOfRor", 1, 1);
      e.setCarryOverflow();
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      store(e);
      new InProcessor().branch(e, condition, target);
    }
  }

  /** BT: CF is the int local {@code bit}, the others are what they were. */
  record Bit(int bit, FlagState before) implements FlagState {
    @Override
    public void store(Emitter e) {
      before.store(e);
      e.pushFlags();
      e.b.iload(bit);
      e.setCarry();
    }

    @Override
    public void branch(Emitter e, int condition, Label target) {
      if (condition >>> 1 == 1) {
        e.b.iload(bit);
        jump(e, condition, target);
      } else {
        store(e);
        new InProcessor().branch(e, condition, target);
      }
    }
  }
}
