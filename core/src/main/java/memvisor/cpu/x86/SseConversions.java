package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Conversions between integers, floats and doubles (map 0F: 2A, 2C, 2D, 5A, 5B, E6). */
final class SseConversions {
  private static final int PS = SseArithmetic.PS;
  private static final int PD = SseArithmetic.PD;
  private static final int SS = SseArithmetic.SS;
  private static final int SD = SseArithmetic.SD;

  private SseConversions() {}

  static @Nullable MicroOp decode(Instruction i) {
    boolean scalar = i.prefix == SS || i.prefix == SD;
    return switch (i.opcode) {
      case 0x2A -> scalar ? new FromInteger(i) : null;
      case 0x2C, 0x2D -> scalar ? new ToInteger(i) : null;
      case 0x5A -> new Width(i);
      case 0x5B -> i.prefix == SD ? null : new PackedIntegers(i);
      case 0xE6 -> i.prefix == PS ? null : new PackedIntegers(i);
      default -> null;
    };
  }

  /** CVTSI2SS and CVTSI2SD. */
  static final class FromInteger extends SseArithmetic.FloatOp {
    final int register;
    final int size;

    FromInteger(Instruction i) {
      super(i);
      register = i.rm;
      size = i.operandSize == 8 ? 8 : 4;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      long value =
          source == MEMORY ? load(c, memory.linear(c, size, false), size) : c.gpr[register];
      if (c.fault != 0) {
        return false;
      }
      value = size == 8 ? value : (int) value;
      f.low =
          shape == SD
              ? SseFloat.longToDouble(f, value)
              : Lanes.withLow32(c.xmm[target], SseFloat.longToFloat(f, value));
      f.high = c.xmm[target + 1];
      return true;
    }
  }

  /** CVTSS2SI, CVTSD2SI and their truncating forms. */
  static final class ToInteger extends SseArithmetic.FloatOp {
    final int register;
    final int size;
    final boolean truncate;

    ToInteger(Instruction i) {
      super(i);
      register = i.reg;
      size = i.operandSize == 8 ? 8 : 4;
      truncate = i.opcode == 0x2C;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      long bits = readLow(c, shape == SD ? 8 : 4);
      if (c.fault != 0) {
        return false;
      }
      f.low =
          shape == SD
              ? SseFloat.doubleToInteger(f, bits, 8 * size, truncate)
              : SseFloat.floatToInteger(f, (int) bits, 8 * size, truncate);
      return true;
    }

    @Override
    void commit(Vcpu c, FpuState f) {
      c.gpr[register] = size == 8 ? f.low : f.low & 0xFFFF_FFFFL;
    }
  }

  /** CVTPS2PD, CVTPD2PS, CVTSS2SD, CVTSD2SS. */
  static final class Width extends SseArithmetic.FloatOp {
    Width(Instruction i) {
      super(i);
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (shape == PD) {
        if (!read(c)) {
          return false;
        }
        int low = SseFloat.doubleToFloat(f, f.low);
        f.low = SseArithmetic.pair(low, SseFloat.doubleToFloat(f, f.high));
        f.high = 0;
        return true;
      }
      long bits = readLow(c, shape == SS ? 4 : 8);
      if (c.fault != 0) {
        return false;
      }
      f.high = c.xmm[target + 1];
      switch (shape) {
        case SS -> f.low = SseFloat.floatToDouble(f, (int) bits);
        case SD -> f.low = Lanes.withLow32(c.xmm[target], SseFloat.doubleToFloat(f, bits));
        default -> {
          f.low = SseFloat.floatToDouble(f, (int) bits);
          f.high = SseFloat.floatToDouble(f, SseArithmetic.upper(bits));
        }
      }
      return true;
    }
  }

  /** CVTDQ2PS, CVTPS2DQ, CVTTPS2DQ (5B) and CVTDQ2PD, CVTPD2DQ, CVTTPD2DQ (E6). */
  private static final class PackedIntegers extends SseArithmetic.FloatOp {
    private final boolean doubles;

    PackedIntegers(Instruction i) {
      super(i);
      doubles = i.opcode == 0xE6;
    }

    @Override
    boolean compute(Vcpu c, FpuState f) {
      if (doubles && shape == SS) {
        long bits = readLow(c, 8);
        f.low = Double.doubleToRawLongBits((int) bits);
        f.high = Double.doubleToRawLongBits(SseArithmetic.upper(bits));
        return c.fault == 0;
      }
      if (!read(c)) {
        return false;
      }
      if (doubles) {
        boolean truncate = shape == PD;
        long low = SseFloat.doubleToInteger(f, f.low, 32, truncate);
        long high = SseFloat.doubleToInteger(f, f.high, 32, truncate);
        f.low = SseArithmetic.pair((int) low, (int) high);
        f.high = 0;
      } else {
        f.low = convert(f, f.low);
        f.high = convert(f, f.high);
      }
      return true;
    }

    private long convert(FpuState f, long half) {
      int upper = SseArithmetic.upper(half);
      if (shape == PS) {
        int low = SseFloat.longToFloat(f, (int) half);
        return SseArithmetic.pair(low, SseFloat.longToFloat(f, upper));
      }
      boolean truncate = shape == SS;
      int low = (int) SseFloat.floatToInteger(f, (int) half, 32, truncate);
      return SseArithmetic.pair(low, (int) SseFloat.floatToInteger(f, upper, 32, truncate));
    }
  }
}
