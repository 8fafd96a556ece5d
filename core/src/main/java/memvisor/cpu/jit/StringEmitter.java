package memvisor.cpu.jit;

import java.lang.classfile.Label;
import java.util.function.BiFunction;
import memvisor.cpu.x86.Lowered;

/**
 * Generates repeated string operations: a call where all of it happens in pages that the
 * translation cache knows, else the operation itself.
 */
final class StringEmitter {
  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RSI = 6;
  private static final int RDI = 7;

  private final Emitter e;
  private final Frame frame;
  private final BiFunction<Lowered.Opaque, FlagState, FlagState> opaque;

  /**
   * @param opaque has the operation executed by its object
   */
  StringEmitter(Operands operands, BiFunction<Lowered.Opaque, FlagState, FlagState> opaque) {
    this.e = operands.e;
    this.frame = operands.frame;
    this.opaque = opaque;
  }

  /** REP STOS. */
  FlagState fill(Lowered.Fill o, FlagState flags) {
    push(RDI, RCX, RAX);
    e.constant(o.sizeBytes());
    e.string("fill", 3);
    return orOperation(o.sizeBytes(), 1 << RAX, 1 << RDI, flags);
  }

  /** REP MOVS. */
  FlagState copy(Lowered.CopyString o, FlagState flags) {
    push(RSI, RDI, RCX);
    e.constant(o.sizeBytes());
    e.string("copy", 3);
    return orOperation(o.sizeBytes(), 0, 1 << RSI | 1 << RDI, flags);
  }

  private void push(int first, int second, int third) {
    e.b.aload(Emitter.CPU);
    e.b.lload(frame.register(first));
    e.b.lload(frame.register(second));
    e.b.lload(frame.register(third));
  }

  /** Sets the registers where the truth value on the stack says that the call did it. */
  private FlagState orOperation(int sizeBytes, int reads, int moved, FlagState flags) {
    Label done = e.newLabel();
    Label end = e.newLabel();
    e.b.ifne(done);
    FlagState after = opaque.apply(new Lowered.Opaque(reads, moved | 1 << RCX, false), flags);
    e.b.goto_(end).labelBinding(done);
    for (int register : new int[] {RSI, RDI}) {
      if ((moved >>> register & 1) != 0) {
        int local = frame.register(register);
        e.b.lload(local).lload(frame.register(RCX));
        e.constant((long) sizeBytes);
        e.b.lmul().ladd().lstore(local);
      }
    }
    e.b.lconst_0().lstore(frame.register(RCX)).labelBinding(end);
    return after;
  }
}
