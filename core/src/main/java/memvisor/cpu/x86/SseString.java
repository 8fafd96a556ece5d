package memvisor.cpu.x86;

/**
 * PCMPESTRM, PCMPESTRI, PCMPISTRM and PCMPISTRI (0F 3A 60–63; Intel SDM vol. 2B, 4.1). The memory
 * operand may be unaligned.
 */
final class SseString extends SseOp {
  private final boolean implicitLength;
  private final boolean index;
  private final boolean wide;
  private final int immediate;

  SseString(Instruction i, int immediate) {
    super(i);
    implicitLength = (i.opcode & 2) != 0;
    index = (i.opcode & 1) != 0;
    wide = i.operandSize == 8;
    this.immediate = immediate;
  }

  private int count() {
    return (immediate & 1) == 0 ? 16 : 8;
  }

  /** An element, zero- or sign-extended as the immediate says. */
  private int element(long low, long high, int at) {
    return switch (immediate & 3) {
      case 0 -> (int) Shuffles.byteAt(low, high, at);
      case 1 -> (int) Shuffles.word(low, high, at);
      case 2 -> (byte) Shuffles.byteAt(low, high, at);
      default -> (short) Shuffles.word(low, high, at);
    };
  }

  @Override
  int execute(Vcpu c) {
    if (unavailable(c)) {
      return denied(c);
    }
    if (!readUnaligned(c)) {
      return FAULT;
    }
    long aLow = c.xmm[target];
    long aHigh = c.xmm[target + 1];
    long bLow = c.fpu.low;
    long bHigh = c.fpu.high;
    int aLength = implicitLength ? terminator(aLow, aHigh) : length(c.gpr[Vcpu.RAX]);
    int bLength = implicitLength ? terminator(bLow, bHigh) : length(c.gpr[Vcpu.RDX]);
    int raw = aggregate(aLow, aHigh, aLength, bLow, bHigh, bLength);
    int result = negate(raw, bLength);
    if (index) {
      c.gpr[Vcpu.RCX] = position(result);
    } else {
      storeMask(c, result);
    }
    int n = count();
    c.flags.setStatus(
        (result != 0 ? Flags.CF : 0)
            | (bLength < n ? Flags.ZF : 0)
            | (aLength < n ? Flags.SF : 0)
            | ((result & 1) != 0 ? Flags.OF : 0));
    return NEXT;
  }

  /** Elements before the first zero. */
  private int terminator(long low, long high) {
    int n = count();
    for (int i = 0; i < n; i++) {
      if (element(low, high, i) == 0) {
        return i;
      }
    }
    return n;
  }

  private int length(long register) {
    long value = wide ? register : (int) register;
    int n = count();
    return value <= -n || value >= n ? n : (int) Math.abs(value);
  }

  private int aggregate(long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength) {
    int result = 0;
    int n = count();
    for (int i = 0; i < n; i++) {
      boolean holds =
          switch (immediate >> 2 & 3) {
            case 0 -> i < bLength && anyEqual(aLow, aHigh, aLength, element(bLow, bHigh, i));
            case 1 -> i < bLength && inRange(aLow, aHigh, aLength, element(bLow, bHigh, i));
            case 2 ->
                i < aLength && i < bLength
                    ? element(aLow, aHigh, i) == element(bLow, bHigh, i)
                    : i >= aLength && i >= bLength;
            default -> startsAt(aLow, aHigh, aLength, bLow, bHigh, bLength, i);
          };
      result |= holds ? 1 << i : 0;
    }
    return result;
  }

  private boolean anyEqual(long aLow, long aHigh, int aLength, int value) {
    for (int i = 0; i < aLength; i++) {
      if (element(aLow, aHigh, i) == value) {
        return true;
      }
    }
    return false;
  }

  private boolean inRange(long aLow, long aHigh, int aLength, int value) {
    for (int i = 0; i + 1 < aLength; i += 2) {
      if (value >= element(aLow, aHigh, i) && value <= element(aLow, aHigh, i + 1)) {
        return true;
      }
    }
    return false;
  }

  /** Equal ordered: {@code a} occurs in {@code b} at {@code at}, as far as the register reaches. */
  private boolean startsAt(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int at) {
    int n = count();
    for (int i = 0; i < aLength && at + i < n; i++) {
      if (at + i >= bLength || element(aLow, aHigh, i) != element(bLow, bHigh, at + i)) {
        return false;
      }
    }
    return true;
  }

  private int negate(int result, int bLength) {
    int all = (1 << count()) - 1;
    return switch (immediate >> 4 & 3) {
      case 1 -> ~result & all;
      case 3 -> result ^ (1 << bLength) - 1;
      default -> result;
    };
  }

  private int position(int result) {
    if (result == 0) {
      return count();
    }
    boolean last = (immediate & 0x40) != 0;
    return last ? 31 - Integer.numberOfLeadingZeros(result) : Integer.numberOfTrailingZeros(result);
  }

  private void storeMask(Vcpu c, int result) {
    if ((immediate & 0x40) == 0) {
      c.xmm[0] = result;
      c.xmm[1] = 0;
      return;
    }
    int n = count();
    int bits = 128 / n;
    for (int half = 0; half < 2; half++) {
      long mask = 0;
      for (int i = 0; i < n / 2; i++) {
        if ((result >> half * n / 2 + i & 1) != 0) {
          mask |= -1L >>> 64 - bits << bits * i;
        }
      }
      c.xmm[half] = mask;
    }
  }
}
