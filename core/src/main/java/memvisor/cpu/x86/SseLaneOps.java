package memvisor.cpu.x86;

/** Insertion and extraction of lanes, widening moves, variable blends and PTEST. */
final class SseLaneOps {
  private SseLaneOps() {}

  static long lane(long low, long high, int size, int index) {
    return switch (size) {
      case 1 -> Shuffles.byteAt(low, high, index);
      case 2 -> Shuffles.word(low, high, index);
      case 4 -> Shuffles.dword(low, high, index);
      default -> (index & 1) == 0 ? low : high;
    };
  }

  /** PINSRB, PINSRW, PINSRD and PINSRQ. */
  static final class Insert extends SseOp {
    private final int register;
    private final int size;
    private final int half;
    private final int shift;
    private final long mask;

    Insert(Instruction i, int size, int immediate) {
      super(i);
      register = i.rm;
      this.size = size;
      int position = size * immediate & 15;
      half = position >> 3;
      shift = 8 * (position & 7);
      mask = -1L >>> 64 - 8 * size << shift;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value =
          source == MEMORY ? load(c, memory.linear(c, size, false), size) : c.gpr[register];
      if (c.fault != 0) {
        return FAULT;
      }
      int at = target + half;
      c.xmm[at] = c.xmm[at] & ~mask | value << shift & mask;
      return NEXT;
    }
  }

  /** PEXTRW of SSE2: ModRM.reg is the general register. */
  static final class ExtractWord extends SseOp {
    private final int register;
    private final int index;

    ExtractWord(Instruction i, int immediate) {
      super(i);
      register = i.reg;
      index = immediate & 7;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.gpr[register] = Shuffles.word(c.xmm[source], c.xmm[source + 1], index);
      return NEXT;
    }
  }

  /** PEXTRB, PEXTRW, PEXTRD, PEXTRQ and EXTRACTPS. */
  static final class Extract extends SseOp {
    private final int register;
    private final int size;
    private final int index;

    Extract(Instruction i, int size, int immediate) {
      super(i);
      register = i.rm;
      this.size = size;
      index = immediate;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = lane(c.xmm[target], c.xmm[target + 1], size, index);
      if (source == MEMORY) {
        store(c, memory.linear(c, size, true), size, value);
        return outcome(c);
      }
      c.gpr[register] = value;
      return NEXT;
    }
  }

  /** INSERTPS. */
  static final class InsertFloat extends SseOp {
    private final int immediate;

    InsertFloat(Instruction i, int immediate) {
      super(i);
      this.immediate = immediate;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = readLow(c, 4);
      if (c.fault != 0) {
        return FAULT;
      }
      if (source != MEMORY) {
        value = Shuffles.dword(c.xmm[source], c.xmm[source + 1], immediate >> 6);
      }
      for (int i = 0; i < 4; i++) {
        boolean zeroed = (immediate >> i & 1) != 0;
        if (zeroed || i == (immediate >> 4 & 3)) {
          put(c, i, zeroed ? 0 : value);
        }
      }
      return NEXT;
    }

    private void put(Vcpu c, int index, long value) {
      int at = target + (index >> 1);
      int shift = 32 * (index & 1);
      c.xmm[at] = c.xmm[at] & ~(0xFFFF_FFFFL << shift) | (value & 0xFFFF_FFFFL) << shift;
    }
  }

  /** PMOVSX and PMOVZX. */
  static final class Extend extends SseOp {
    private final int from;
    private final int to;
    private final boolean signed;

    Extend(Instruction i, int from, int to, boolean signed) {
      super(i);
      this.from = from;
      this.to = to;
      this.signed = signed;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      int count = 16 / to;
      long bits = readLow(c, count * from);
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target] = widen(bits, 0);
      c.xmm[target + 1] = widen(bits, count / 2);
      return NEXT;
    }

    private long widen(long bits, int first) {
      int unused = 64 - 8 * from;
      long mask = -1L >>> 64 - 8 * to;
      long result = 0;
      for (int i = 0; i < 8 / to; i++) {
        long lane = bits >>> 8 * from * (first + i) << unused;
        result |= ((signed ? lane >> unused : lane >>> unused) & mask) << 8 * to * i;
      }
      return result;
    }
  }

  /** PBLENDVB, BLENDVPS and BLENDVPD: the selectors are the sign bits of XMM0. */
  static final class VariableBlend extends SseOp {
    private final int width;

    VariableBlend(Instruction i) {
      super(i);
      width = i.opcode == 0x10 ? 8 : i.opcode == 0x14 ? 32 : 64;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (!read(c)) {
        return FAULT;
      }
      long low = mask(c.xmm[0]);
      long high = mask(c.xmm[1]);
      c.xmm[target] = c.xmm[target] & ~low | c.fpu.low & low;
      c.xmm[target + 1] = c.xmm[target + 1] & ~high | c.fpu.high & high;
      return NEXT;
    }

    private long mask(long selectors) {
      long result = 0;
      for (int shift = 0; shift < 64; shift += width) {
        long sign = selectors << 64 - width - shift >> 63;
        result |= sign >>> 64 - width << shift;
      }
      return result;
    }
  }

  /** PTEST. */
  static final class Test extends SseOp {
    Test(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (!read(c)) {
        return FAULT;
      }
      long low = c.xmm[target];
      long high = c.xmm[target + 1];
      boolean zero = (low & c.fpu.low | high & c.fpu.high) == 0;
      boolean carry = (~low & c.fpu.low | ~high & c.fpu.high) == 0;
      c.flags.setStatus((zero ? Flags.ZF : 0) | (carry ? Flags.CF : 0));
      return NEXT;
    }
  }
}
