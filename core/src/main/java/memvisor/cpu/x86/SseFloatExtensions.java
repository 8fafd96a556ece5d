package memvisor.cpu.x86;

/** ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD, DPPS and DPPD. */
final class SseFloatExtensions {
  private SseFloatExtensions() {}

  /** ROUNDxx (0F 3A 08–0B). */
  static final class Round extends SseArithmetic.FloatOp {
    private final int opcode;
    private final int immediate;

    Round(Instruction i, int immediate) {
      super(i);
      opcode = i.opcode;
      this.immediate = immediate;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (opcode < 0x0A) {
        if (!read(c)) {
          return false;
        }
        f.low = opcode == 0x08 ? pair(f, f.low) : SseFloat.roundDouble(f, f.low, immediate);
        f.high = opcode == 0x08 ? pair(f, f.high) : SseFloat.roundDouble(f, f.high, immediate);
        return true;
      }
      long bits = readLow(c, opcode == 0x0A ? 4 : 8);
      f.high = c.xmm[target + 1];
      f.low =
          opcode == 0x0A
              ? Lanes.withLow32(c.xmm[target], SseFloat.roundFloat(f, (int) bits, immediate))
              : SseFloat.roundDouble(f, bits, immediate);
      return c.fault == 0;
    }

    private long pair(FpuState f, long half) {
      int low = SseFloat.roundFloat(f, (int) half, immediate);
      return SseArithmetic.pair(low, SseFloat.roundFloat(f, SseArithmetic.upper(half), immediate));
    }
  }

  /** DPPS (40) and DPPD (41): every product and sum is rounded. */
  static final class DotProduct extends SseArithmetic.FloatOp {
    private final boolean doubles;
    private final int immediate;

    DotProduct(Instruction i, int immediate) {
      super(i);
      doubles = i.opcode == 0x41;
      this.immediate = immediate;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (!read(c)) {
        return false;
      }
      long aLow = c.xmm[target];
      long aHigh = c.xmm[target + 1];
      if (doubles) {
        long first = product(f, 4, aLow, f.low);
        long sum = SseFloat.binary64(f, SseFloat.ADD, first, product(f, 5, aHigh, f.high));
        f.low = (immediate & 1) != 0 ? sum : 0;
        f.high = (immediate & 2) != 0 ? sum : 0;
        return true;
      }
      int low = pairSum(f, 4, aLow, f.low);
      int sum = SseFloat.binary32(f, SseFloat.ADD, low, pairSum(f, 6, aHigh, f.high));
      f.low = spread(sum, 0);
      f.high = spread(sum, 2);
      return true;
    }

    private long product(FpuState f, int bit, long a, long b) {
      return (immediate >> bit & 1) != 0 ? SseFloat.binary64(f, SseFloat.MUL, a, b) : 0;
    }

    private int product(FpuState f, int bit, int a, int b) {
      return (immediate >> bit & 1) != 0 ? SseFloat.binary32(f, SseFloat.MUL, a, b) : 0;
    }

    private int pairSum(FpuState f, int bit, long a, long b) {
      int first = product(f, bit, (int) a, (int) b);
      int second = product(f, bit + 1, SseArithmetic.upper(a), SseArithmetic.upper(b));
      return SseFloat.binary32(f, SseFloat.ADD, first, second);
    }

    private long spread(int sum, int bit) {
      int low = (immediate >> bit & 1) != 0 ? sum : 0;
      int high = (immediate >> bit + 1 & 1) != 0 ? sum : 0;
      return SseArithmetic.pair(low, high);
    }
  }
}
