package memvisor.cpu.x86;

/** Describes operations on XMM registers in the translator's terms, as {@link Lowering} does. */
final class SseLowering {
  private static final int GENERAL_REGISTERS = 16;

  private SseLowering() {}

  static Lowered lower(MicroOp op) {
    if (!(op instanceof SseOp sse)) {
      return Lowering.OPAQUE;
    }
    Lowered lowered = scalar(sse);
    if (lowered.equals(Lowering.OPAQUE)) {
      lowered = sse.source == SseOp.MEMORY ? withMemory(sse) : withRegister(sse);
    }
    return lowered.equals(Lowering.OPAQUE) && isDetached(sse)
        ? new Lowered.Opaque(registers(sse.memory), 0, false)
        : lowered;
  }

  /** Floating-point operations on one number. */
  private static Lowered scalar(SseOp op) {
    return switch (op) {
      case SseArithmetic.Binary o ->
          o.scalar()
              ? new Lowered.FloatArithmetic(o.operation, o.target, source(o))
              : Lowering.OPAQUE;
      case SseArithmetic.Order o -> new Lowered.FloatOrder(o.quiet, o.target, source(o));
      case SseConversions.FromInteger o ->
          new Lowered.IntegerToFloat(
              o.target,
              o.scalarBytes(),
              o.source == SseOp.MEMORY ? memory(o, o.size) : Lowering.register(o.register, o.size));
      case SseConversions.ToInteger o ->
          new Lowered.FloatToInteger(Lowering.register(o.register, o.size), source(o), o.truncate);
      case SseConversions.Width o ->
          o.scalar() ? new Lowered.ConvertFloat(o.target, source(o)) : Lowering.OPAQUE;
      default -> Lowering.OPAQUE;
    };
  }

  private static Lowered.Scalar source(SseArithmetic.FloatOp op) {
    int size = op.scalarBytes();
    return op.source == SseOp.MEMORY ? memory(op, size) : new Lowered.Half(op.source, size);
  }

  private static Lowered withMemory(SseOp op) {
    return switch (op) {
      case SseMoveOps.Load o -> new Lowered.LoadVector(o.target, memory(o, 8), o.isAligned());
      case SseMoveOps.Store o -> new Lowered.StoreVector(memory(o, 8), o.target, o.isAligned());
      case SseMoveOps.LoadScalar o -> new Lowered.SetHalf(o.target, memory(o, o.size), true);
      case SseMoveOps.LoadQuad o -> new Lowered.SetHalf(o.target, memory(o, 8), true);
      case SseMoveOps.FromGeneral o -> new Lowered.SetHalf(o.target, memory(o, o.size), true);
      case SseMoveOps.LoadHalf o -> new Lowered.SetHalf(o.target + o.half, memory(o, 8), false);
      case SseMoveOps.StoreScalar o -> new Lowered.GetHalf(memory(o, o.size), o.target);
      case SseMoveOps.StoreQuad o -> new Lowered.GetHalf(memory(o, 8), o.target);
      case SseMoveOps.ToGeneral o -> new Lowered.GetHalf(memory(o, o.size), o.target);
      case SseMoveOps.StoreHalf o -> new Lowered.GetHalf(memory(o, 8), o.target + o.half);
      default -> Lowering.OPAQUE;
    };
  }

  private static Lowered withRegister(SseOp op) {
    return switch (op) {
      case SseMoveOps.Copy o -> new Lowered.CopyVector(o.to, o.from);
      case SseMoveOps.LoadScalar o ->
          o.size == 8 ? new Lowered.MoveHalf(o.target, o.source, false) : Lowering.OPAQUE;
      case SseMoveOps.StoreScalar o ->
          o.size == 8 ? new Lowered.MoveHalf(o.source, o.target, false) : Lowering.OPAQUE;
      case SseMoveOps.LoadQuad o -> new Lowered.MoveHalf(o.target, o.source, true);
      case SseMoveOps.StoreQuad o -> new Lowered.MoveHalf(o.source, o.target, true);
      case SseMoveOps.FromGeneral o ->
          new Lowered.SetHalf(o.target, Lowering.register(o.register, o.size), true);
      case SseMoveOps.ToGeneral o ->
          new Lowered.GetHalf(Lowering.register(o.register, o.size), o.target);
      case SseMoveOps.ByteMask o ->
          new Lowered.ByteMask(Lowering.register(o.register, 8), o.source);
      case WideOp o ->
          o.name.isEmpty()
              ? Lowering.OPAQUE
              : new Lowered.Shuffle(o.name, o.target, o.source, o.immediate);
      case LaneOp o -> lanes(o.name, o.target, o.source, 0);
      case LaneOp.Shift o ->
          o.immediate >= 0
              ? lanes(o.name, o.register, Lowered.LaneWise.COUNT, o.immediate)
              : Lowering.OPAQUE;
      default -> Lowering.OPAQUE;
    };
  }

  private static Lowered lanes(String function, int target, int source, int count) {
    return function.isEmpty()
        ? Lowering.OPAQUE
        : new Lowered.LaneWise(function, target, source, count);
  }

  /** Whether an operation leaves the general registers, flags and control alone. */
  private static boolean isDetached(SseOp op) {
    return switch (op) {
      case LaneOp unused -> true;
      case LaneOp.Shift unused -> true;
      case LaneOp.ByteShift unused -> true;
      case WideOp unused -> true;
      case SseArithmetic.FloatOp unused -> true; // those on one number have forms
      case SseMoveOps.Load unused -> true;
      case SseMoveOps.LoadScalar unused -> true;
      case SseMoveOps.StoreScalar unused -> true;
      default -> false;
    };
  }

  private static int registers(EffectiveAddress address) {
    return bit(address.base) | bit(address.index);
  }

  private static int bit(int register) {
    return register < GENERAL_REGISTERS ? 1 << register : 0;
  }

  private static Lowered.Memory memory(SseOp op, int size) {
    return Lowering.memory(op.memory, size);
  }
}
