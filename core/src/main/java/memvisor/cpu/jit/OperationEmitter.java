package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Place;

/** Generates single operations, each kind by the emitter for it. */
final class OperationEmitter {
  private static final FlagState IN_PROCESSOR = new FlagState.InProcessor();

  private final HotCode code;
  private final Emitter e;
  private final Frame frame;
  private final Operands operands;
  private final AluEmitter alu;
  private final ShiftEmitter shifts;
  private final BitEmitter bits;
  private final MoveEmitter moves;
  private final SseEmitter vectors;
  private final StringEmitter strings;
  private final Exits exits;
  private final Label leave;

  OperationEmitter(HotCode code, Emitter e, Frame frame, Exits exits, Label leave) {
    this.code = code;
    this.e = e;
    this.frame = frame;
    this.exits = exits;
    this.leave = leave;
    this.operands = new Operands(code, e, frame, exits);
    this.alu = new AluEmitter(operands);
    this.shifts = new ShiftEmitter(operands);
    this.bits = new BitEmitter(operands);
    this.moves = new MoveEmitter(operands);
    this.vectors = new SseEmitter(operands);
    this.strings = new StringEmitter(operands, this::opaque);
  }

  /** No value of the block before is needed any more. */
  void startBlock() {
    operands.startBlock();
    vectors.forget();
  }

  /** Generates one instruction; answers where the flags are after it. */
  FlagState emit(int block, int index, FlagState flags) {
    operands.at(block, index);
    return switch (code.lowered(block, index)) {
      case Lowered.Alu o -> alu.alu(o, flags);
      case Lowered.LockedAlu o -> alu.locked(o, flags);
      case Lowered.Exchange o -> alu.exchange(o, flags);
      case Lowered.ExchangeAdd o -> alu.exchangeAdd(o, flags);
      case Lowered.CompareExchange o -> alu.compareExchange(o, flags);
      case Lowered.Multiply o -> alu.multiply(o, flags);
      case Lowered.MultiplyWide o -> alu.multiplyWide(o, flags);
      case Lowered.Divide o -> alu.divide(o, flags);
      case Lowered.Move o -> moves.move(o, flags);
      case Lowered.Lea o -> moves.lea(o, flags);
      case Lowered.Push o -> moves.push(o, flags);
      case Lowered.Pop o -> moves.pop(o, flags);
      case Lowered.ConditionalMove o -> moves.conditionalMove(o, flags);
      case Lowered.SetCondition o -> moves.setCondition(o, flags);
      case Lowered.SignOf o -> moves.signOf(o, flags);
      case Lowered.Leave unused -> moves.leaveFrame(flags);
      case Lowered.Shift o -> shifts.shift(o, flags);
      case Lowered.ShiftByCl o -> shifts.shiftByCl(o, flags);
      case Lowered.Rotate o -> shifts.rotate(o, flags);
      case Lowered.DoubleShift o ->
          o.isByCl() ? shifts.doubleShiftByCl(o, flags) : shifts.doubleShift(o, flags);
      case Lowered.BitTest o -> bits.bitTest(o, flags);
      case Lowered.BitChange o -> bits.bitChange(o, flags);
      case Lowered.Scan o -> bits.scan(o, flags);
      case Lowered.SwapBytes o -> bits.swapBytes(o, flags);
      case Lowered.Vector o -> vector(o, flags);
      case Lowered.Nop unused -> flags;
      case Lowered.Fill o -> strings.fill(o, flags);
      case Lowered.CopyString o -> strings.copy(o, flags);
      case Lowered.Opaque o -> opaque(o, flags);
      case Lowered.Transfer unused -> throw new IllegalStateException("a transfer inside a block");
    };
  }

  private FlagState vector(Lowered.Vector vector, FlagState flags) {
    return switch (vector) {
      case Lowered.LoadVector o -> vectors.load(o, flags);
      case Lowered.StoreVector o -> vectors.store(o, flags);
      case Lowered.CopyVector o -> vectors.copy(o, flags);
      case Lowered.SetHalf o -> vectors.setHalf(o, flags);
      case Lowered.MoveHalf o -> vectors.moveHalf(o, flags);
      case Lowered.GetHalf o -> vectors.getHalf(o, flags);
      case Lowered.LaneWise o -> vectors.lanes(o, flags);
      case Lowered.Shuffle o -> vectors.shuffle(o, flags);
      case Lowered.ByteMask o -> vectors.byteMask(o, flags);
      case Lowered.FloatArithmetic o -> vectors.arithmetic(o, flags);
      case Lowered.FloatOrder o -> vectors.order(o, flags);
      case Lowered.IntegerToFloat o -> vectors.integerToFloat(o, flags);
      case Lowered.FloatToInteger o -> vectors.floatToInteger(o, flags);
      case Lowered.ConvertFloat o -> vectors.convert(o, flags);
    };
  }

  // ---- parts of transfers ----------------------------------------------------------------------

  /** Reads where an indirect transfer goes to; answers the local. */
  int readTarget(Place place, int block, int index, FlagState flags) {
    operands.at(block, index);
    int target = operands.newLong();
    if (place instanceof Memory m) {
      operands.load(m, false, target, flags);
    } else {
      operands.pushZeroExtended(place);
      e.b.lstore(target);
    }
    return target;
  }

  /** Pushes the address of the instruction after a call. */
  void pushReturnAddress(int block, int index, FlagState flags) {
    operands.at(block, index);
    moves.pushReturnAddress(flags);
  }

  /** Pops {@link Frame#target}. */
  void popReturnAddress(int releasedBytes, int block, int index, FlagState flags) {
    operands.at(block, index);
    moves.popReturnAddress(releasedBytes, flags);
  }

  // ---- the rest --------------------------------------------------------------------------------

  /** An operation without a form: what it touches is in the processor while it is executed. */
  private FlagState opaque(Lowered.Opaque o, FlagState flags) {
    if (o.isUnknown()) {
      return unknown(flags);
    }
    FlagState after = o.status() ? IN_PROCESSOR : flags;
    if (o.status()) {
      flags.store(e);
    }
    frame.spill(o.reads() | o.writes());
    pushOperation();
    frame.reload(o.writes());
    e.b.ifne(exits.withKind(operands.number(), after));
    return after;
  }

  /** Has the operation executed, whose result is then on the stack and in {@link Frame#exit}. */
  private void pushOperation() {
    e.b.aload(0).aload(Emitter.CPU).lload(frame.base).iload(frame.retired);
    e.constant(operands.number());
    e.opaque();
    e.b.dup().istore(frame.exit);
  }

  private FlagState unknown(FlagState flags) {
    int number = operands.number();
    vectors.forget();
    Label next = e.newLabel();
    flags.store(e);
    frame.spill();
    pushOperation();
    e.b.ifeq(next);
    e.b.iload(frame.exit);
    e.constant(number << Exits.KIND_BITS);
    e.b.ior().istore(frame.exit).goto_(leave).labelBinding(next);
    frame.reload();
    return IN_PROCESSOR;
  }
}
