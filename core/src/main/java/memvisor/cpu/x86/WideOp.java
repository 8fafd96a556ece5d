package memvisor.cpu.x86;

/** An operation on two 16-byte operands given as a function; memory must be aligned. */
final class WideOp extends SseOp {
  /** What {@link Shuffles} calls the function, for generated code; empty where it does not ask. */
  final String name;

  private final Shuffles.Wide function;
  final int immediate;

  WideOp(Instruction i, Shuffles.Wide function, int immediate) {
    super(i);
    this.function = function;
    this.immediate = immediate;
    name = ShuffleNames.of(i);
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
    function.apply(f, c.xmm[target], c.xmm[target + 1], f.low, f.high, immediate);
    c.xmm[target] = f.low;
    c.xmm[target + 1] = f.high;
    return NEXT;
  }
}
