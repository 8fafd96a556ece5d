package memvisor.cpu.jit;

import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Half;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Scalar;

/** Generates operations of XMM registers, whose halves are longs. */
final class SseEmitter {
  private static final int HALF = 8;

  private final Operands operands;
  private final Emitter e;
  private final Frame frame;

  /** An operation of this block has found that SSE may be used. */
  private boolean checked;

  SseEmitter(Operands operands) {
    this.operands = operands;
    this.e = operands.e;
    this.frame = operands.frame;
  }

  /** What was found before holds no longer. */
  void forget() {
    checked = false;
  }

  /** Leaves the rest to the operation if CR0 or CR4 forbid SSE, which no block changes. */
  private void check(FlagState flags) {
    if (!checked) {
      e.b.aload(Emitter.CPU);
      e.vectorsUnavailable();
      e.b.ifne(operands.rare(flags));
      checked = true;
    }
  }

  private void pushHalf(int half) {
    e.pushArray("xmm");
    e.constant(half);
    e.b.laload();
  }

  private void setHalf(int half, Value value) {
    e.pushArray("xmm");
    e.constant(half);
    value.push(e);
    e.b.lastore();
  }

  private Value half(int half) {
    pushHalf(half);
    return operands.keep();
  }

  /** Sets {@link Frame#address}; what must be aligned and is not is rare. */
  private void address(Memory m, boolean aligned, FlagState flags) {
    operands.address(m);
    if (aligned) {
      e.b.lload(frame.address).l2i();
      e.constant(15);
      e.b.iand().ifne(operands.rare(flags));
    }
  }

  FlagState load(Lowered.LoadVector o, FlagState flags) {
    check(flags);
    address(o.source(), o.aligned(), flags);
    int low = operands.newLong();
    int high = operands.newLong();
    operands.loadHere(HALF, false, low, flags);
    e.b.lload(frame.address);
    e.constant((long) HALF);
    e.b.ladd().lstore(frame.address);
    operands.loadHere(HALF, false, high, flags);
    setHalf(o.target(), new Value.Local(low));
    setHalf(o.target() + 1, new Value.Local(high));
    return flags;
  }

  FlagState store(Lowered.StoreVector o, FlagState flags) {
    check(flags);
    address(o.destination(), o.aligned(), flags);
    Value low = half(o.source());
    Value high = half(o.source() + 1);
    operands.storeVectorHere(low, high, flags);
    return flags;
  }

  FlagState copy(Lowered.CopyVector o, FlagState flags) {
    check(flags);
    setHalf(o.target(), half(o.source()));
    setHalf(o.target() + 1, half(o.source() + 1));
    return flags;
  }

  FlagState setHalf(Lowered.SetHalf o, FlagState flags) {
    check(flags);
    Value value = operands.read(o.source(), false, flags);
    setHalf(o.half(), value);
    if (o.clearsOther()) {
      setHalf(o.half() + 1, new Value.Constant(0));
    }
    return flags;
  }

  FlagState moveHalf(Lowered.MoveHalf o, FlagState flags) {
    check(flags);
    setHalf(o.target(), half(o.source()));
    if (o.clearsOther()) {
      setHalf(o.target() + 1, new Value.Constant(0));
    }
    return flags;
  }

  FlagState getHalf(Lowered.GetHalf o, FlagState flags) {
    check(flags);
    Place to = o.destination();
    if (to instanceof Memory m) {
      operands.address(m);
      operands.storeHere(m.sizeBytes(), half(o.half()), flags);
    } else {
      pushHalf(o.half());
      operands.write(to);
    }
    return flags;
  }

  FlagState lanes(Lowered.LaneWise o, FlagState flags) {
    check(flags);
    lane(o, 0);
    lane(o, 1);
    return flags;
  }

  private void lane(Lowered.LaneWise o, int half) {
    pushHalf(o.target() + half);
    if (o.source() == Lowered.LaneWise.COUNT) {
      e.constant((long) o.count());
    } else {
      pushHalf(o.source() + half);
    }
    e.laneFunction(o.function());
    setHalf(o.target() + half, operands.keep());
  }

  FlagState shuffle(Lowered.Shuffle o, FlagState flags) {
    check(flags);
    e.pushShuffled();
    pushHalf(o.target());
    pushHalf(o.target() + 1);
    pushHalf(o.source());
    pushHalf(o.source() + 1);
    e.constant(o.immediate());
    e.shuffle(o.function());
    setShuffled(o.target(), false);
    setShuffled(o.target() + 1, true);
    return flags;
  }

  private void setShuffled(int half, boolean high) {
    e.pushShuffled();
    e.pushShuffledHalf(high);
    setHalf(half, operands.keep());
  }

  // ---- floating point --------------------------------------------------------------------------

  /** Pushes the CPU and the bits of a number. */
  private void pushNumber(Scalar source, FlagState flags) {
    check(flags);
    Value number =
        switch (source) {
          case Memory m -> operands.read(m, false, flags);
          case Half h -> half(h.number());
        };
    e.b.aload(Emitter.CPU);
    number.push(e);
  }

  /** Calls one of the functions for doubles and floats; the arguments are on the stack. */
  private void call(
      int sizeBytes, String forDoubles, String forFloats, ClassDesc result, int ints) {
    e.floatFunction(sizeBytes == 8 ? forDoubles : forFloats, result, ints);
  }

  FlagState arithmetic(Lowered.FloatArithmetic o, FlagState flags) {
    pushNumber(o.source(), flags);
    e.constant(o.operation());
    e.constant(o.target());
    call(o.source().sizeBytes(), "binary64", "binary32", ConstantDescs.CD_void, 2);
    operands.leaveIfFaulted(flags);
    return flags;
  }

  FlagState order(Lowered.FloatOrder o, FlagState flags) {
    pushNumber(o.source(), flags);
    e.constant(o.target());
    e.constant(o.quiet() ? 1 : 0);
    call(o.source().sizeBytes(), "order64", "order32", ConstantDescs.CD_int, 2);
    int image = operands.newInt();
    e.b.istore(image);
    operands.leaveIfFaulted(flags);
    return new FlagState.Order(image);
  }

  FlagState integerToFloat(Lowered.IntegerToFloat o, FlagState flags) {
    check(flags);
    Value integer = operands.readSigned(o.source(), flags);
    e.b.aload(Emitter.CPU);
    integer.push(e);
    e.constant(o.target());
    call(o.sizeBytes(), "integerToDouble", "integerToFloat", ConstantDescs.CD_void, 1);
    operands.leaveIfFaulted(flags);
    return flags;
  }

  FlagState floatToInteger(Lowered.FloatToInteger o, FlagState flags) {
    pushNumber(o.source(), flags);
    e.constant(8 * o.destination().sizeBytes());
    e.constant(o.truncate() ? 1 : 0);
    call(o.source().sizeBytes(), "doubleToInteger", "floatToInteger", ConstantDescs.CD_long, 2);
    Value integer = operands.keep();
    operands.leaveIfFaulted(flags);
    operands.write(integer, o.destination());
    return flags;
  }

  FlagState convert(Lowered.ConvertFloat o, FlagState flags) {
    pushNumber(o.source(), flags);
    e.constant(o.target());
    call(o.source().sizeBytes(), "doubleToFloat", "floatToDouble", ConstantDescs.CD_void, 1);
    operands.leaveIfFaulted(flags);
    return flags;
  }

  /** PMOVMSKB. */
  FlagState byteMask(Lowered.ByteMask o, FlagState flags) {
    check(flags);
    pushHalf(o.source());
    e.byteSigns();
    pushHalf(o.source() + 1);
    e.byteSigns();
    e.constant(8);
    e.b.lshl().lor();
    operands.write(o.destination());
    return flags;
  }
}
