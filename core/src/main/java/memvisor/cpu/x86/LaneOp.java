package memvisor.cpu.x86;

/** A packed-integer operation given as a function of 64-bit halves; memory must be aligned. */
final class LaneOp extends SseOp {
  /** What {@link Lanes} calls the function, for generated code; empty where it does not ask. */
  final String name;

  private final Lanes.Lane function;

  LaneOp(Instruction i, Lanes.Lane function) {
    super(i);
    this.function = function;
    name = i.map == Instruction.MAP_0F ? LaneNames.of(i.opcode) : "";
  }

  @Override
  int execute(Vcpu c) {
    if (unavailable(c)) {
      return denied(c);
    }
    if (!read(c)) {
      return FAULT;
    }
    FpuState f = c.fpu;
    c.xmm[target] = function.apply(c.xmm[target], f.low);
    c.xmm[target + 1] = function.apply(c.xmm[target + 1], f.high);
    return NEXT;
  }

  /** A shift: the count is the low half of the source, or an immediate. */
  static final class Shift extends SseOp {
    /** As {@link LaneOp#name}. */
    final String name;

    private final Lanes.Lane function;
    final int register;

    /** The count, or -1 where the source has it. */
    final int immediate;

    /** By the source operand. */
    Shift(Instruction i, Lanes.Lane function) {
      super(i);
      this.function = function;
      name = "";
      register = target;
      immediate = -1;
    }

    /** By an immediate: ModRM.rm is shifted. */
    Shift(Instruction i, Lanes.Lane function, int immediate) {
      super(i);
      this.function = function;
      name = LaneNames.ofShift(i.opcode, i.extension());
      register = source;
      this.immediate = immediate;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long count = immediate;
      if (immediate < 0) {
        if (!read(c)) {
          return FAULT;
        }
        count = c.fpu.low;
      }
      c.xmm[register] = function.apply(c.xmm[register], count);
      c.xmm[register + 1] = function.apply(c.xmm[register + 1], count);
      return NEXT;
    }
  }

  /** PSLLDQ and PSRLDQ: ModRM.rm is shifted by bytes. */
  static final class ByteShift extends SseOp {
    private final Shuffles.Wide function;
    private final int bytes;

    ByteShift(Instruction i, Shuffles.Wide function, int bytes) {
      super(i);
      this.function = function;
      this.bytes = bytes;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      function.apply(c.fpu, c.xmm[source], c.xmm[source + 1], 0, 0, bytes);
      c.xmm[source] = c.fpu.low;
      c.xmm[source + 1] = c.fpu.high;
      return NEXT;
    }
  }
}
