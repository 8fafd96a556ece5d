package memvisor.cpu.x86;

/**
 * Scalar arithmetic of SSE on the bits of doubles and floats, exact in rounding and flags.
 *
 * <p>Java's arithmetic rounds to nearest and reports nothing. It is used where that cannot be
 * noticed: MXCSR at its defaults, the inexact flag already set, ordinary operands and result.
 * Everything else goes through {@link FloatUnit}. Raised exceptions gather in {@code unit.flags}.
 */
final class SseFloat {
  /** Operations, by the low byte of their opcode. */
  static final int SQRT = 0x51;

  static final int ADD = 0x58;
  static final int MUL = 0x59;
  static final int SUB = 0x5C;
  static final int MIN = 0x5D;
  static final int DIV = 0x5E;
  static final int MAX = 0x5F;

  /** All masks, RC, DAZ, FTZ and PE; {@link #ORDINARY} is what they are where Java will do. */
  private static final int ORDINARY_MASK = 0xFFE0;

  private static final int ORDINARY = 0x1FA0;
  private static final int DAZ = 1 << 6;
  private static final int FTZ = 1 << 15;

  private static final long QUIET_64 = 1L << 51;
  private static final int QUIET_32 = 1 << 22;

  private SseFloat() {}

  static boolean ordinary(FpuState f) {
    return (f.mxcsr & ORDINARY_MASK) == ORDINARY;
  }

  /** Sets the unit up for MXCSR. */
  static FloatUnit unit(FpuState f) {
    FloatUnit u = f.unit;
    u.mode = f.mxcsr >> 13 & 3;
    u.masks = f.mxcsr >> 7 & 0x3F;
    u.flushToZero = (f.mxcsr & FTZ) != 0 && (u.masks & FloatUnit.UNDERFLOW) != 0;
    u.wraps = false;
    return u;
  }

  // ---- doubles -------------------------------------------------------------------------------

  /** Exponent neither 0 nor all ones. */
  static boolean isNormal(long bits) {
    return ((bits >>> 52) + 1 & 0x7FE) != 0;
  }

  static boolean isNan(long bits) {
    return (bits & Long.MAX_VALUE) > 0x7FF0_0000_0000_0000L;
  }

  /** The operand as DAZ wants it. */
  static long operand(FpuState f, long bits) {
    boolean denormal = (bits & 0x7FF0_0000_0000_0000L) == 0;
    return denormal && (f.mxcsr & DAZ) != 0 ? bits & Long.MIN_VALUE : bits;
  }

  private static boolean isZero(long bits) {
    return bits << 1 == 0;
  }

  /** {@code a op b}; the square root is of b. */
  static long binary64(FpuState f, int operation, long a, long b) {
    if (ordinary(f)) {
      long result = rounded64(operation, a, b);
      if (isUnremarkable64(operation, a, b, result)) {
        return result;
      }
    }
    return exact64(f, operation, operand(f, a), operand(f, b));
  }

  /** {@code a op b} by Java's arithmetic. */
  static long rounded64(int operation, long a, long b) {
    double x = Double.longBitsToDouble(a);
    double y = Double.longBitsToDouble(b);
    double result =
        switch (operation) {
          case ADD -> x + y;
          case SUB -> x - y;
          case MUL -> x * y;
          case DIV -> x / y;
          case SQRT -> Math.sqrt(y);
          case MIN -> x < y ? x : y;
          default -> x > y ? x : y;
        };
    return Double.doubleToRawLongBits(result);
  }

  /** Whether {@link #rounded64} is the result and, where MXCSR is ordinary, raises nothing new. */
  static boolean isUnremarkable64(int operation, long a, long b, long result) {
    return isNormal(result) && isNormal(b) && (operation == SQRT || isNormal(a))
        || isUnremarkableZero(operation, a, b, result);
  }

  /** The same for a zero among operands and result. */
  private static boolean isUnremarkableZero(int operation, long a, long b, long result) {
    boolean ordinaryA = isNormal(a) || isZero(a);
    boolean ordinaryB = isNormal(b) || isZero(b);
    return switch (operation) {
      case MUL -> ordinaryA && ordinaryB && (isZero(a) || isZero(b));
      case DIV -> isZero(a) && isNormal(b);
      case SQRT -> isZero(b);
      default -> ordinaryA && ordinaryB && (isNormal(result) || isZero(result));
    };
  }

  private static long exact64(FpuState f, int operation, long a, long b) {
    if (operation == MIN || operation == MAX) {
      return extremum64(f, operation, a, b);
    }
    boolean unary = operation == SQRT;
    if (!unary && isNan(a) || isNan(b)) {
      f.unit.flags |= !unary && isSignaling(a) || isSignaling(b) ? FloatUnit.INVALID : 0;
      return (!unary && isNan(a) ? a : b) | QUIET_64;
    }
    FloatUnit u = unit(f);
    u.a.setDouble(unary ? b : a);
    u.b.setDouble(b);
    apply(u, operation);
    u.round(53, -1022, 1023);
    return u.toDouble();
  }

  private static void apply(FloatUnit u, int operation) {
    switch (operation) {
      case ADD -> u.add();
      case SUB -> u.subtract();
      case MUL -> u.multiply();
      case DIV -> u.divide();
      default -> u.squareRoot();
    }
  }

  static boolean isSignaling(long bits) {
    return isNan(bits) && (bits & QUIET_64) == 0;
  }

  private static boolean isDenormal(long bits) {
    return (bits & 0x7FF0_0000_0000_0000L) == 0 && bits << 1 != 0;
  }

  /** MIN and MAX: the second operand wherever the two are not in order. */
  private static long extremum64(FpuState f, int operation, long a, long b) {
    if (isNan(a) || isNan(b)) {
      f.unit.flags |= FloatUnit.INVALID;
      return b;
    }
    f.unit.flags |= isDenormal(a) || isDenormal(b) ? FloatUnit.DENORMAL : 0;
    double x = Double.longBitsToDouble(a);
    double y = Double.longBitsToDouble(b);
    return (operation == MIN ? x < y : x > y) ? a : b;
  }

  /** Order: -1, 0, 1, or 2 if unordered; {@code quiet} lets quiet NaNs pass without INVALID. */
  static int compare64(FpuState f, long first, long second, boolean quiet) {
    long a = operand(f, first);
    long b = operand(f, second);
    if (isNan(a) || isNan(b)) {
      f.unit.flags |= !quiet || isSignaling(a) || isSignaling(b) ? FloatUnit.INVALID : 0;
      return 2;
    }
    f.unit.flags |= isDenormal(a) || isDenormal(b) ? FloatUnit.DENORMAL : 0;
    double x = Double.longBitsToDouble(a);
    double y = Double.longBitsToDouble(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }

  // ---- floats --------------------------------------------------------------------------------

  static boolean isNormal(int bits) {
    return ((bits >>> 23) + 1 & 0xFE) != 0;
  }

  static boolean isNan(int bits) {
    return (bits & Integer.MAX_VALUE) > 0x7F80_0000;
  }

  static int operand(FpuState f, int bits) {
    boolean denormal = (bits & 0x7F80_0000) == 0;
    return denormal && (f.mxcsr & DAZ) != 0 ? bits & Integer.MIN_VALUE : bits;
  }

  /** {@code a op b}; the square root is of b. */
  static int binary32(FpuState f, int operation, int a, int b) {
    if (ordinary(f) && isNormal(a) && isNormal(b)) {
      float x = Float.intBitsToFloat(a);
      float y = Float.intBitsToFloat(b);
      float r =
          switch (operation) {
            case ADD -> x + y;
            case SUB -> x - y;
            case MUL -> x * y;
            case DIV -> x / y;
            case SQRT -> (float) Math.sqrt(y);
            case MIN -> x < y ? x : y;
            default -> x > y ? x : y;
          };
      int bits = Float.floatToRawIntBits(r);
      if (isNormal(bits)) {
        return bits;
      }
    }
    return exact32(f, operation, operand(f, a), operand(f, b));
  }

  private static int exact32(FpuState f, int operation, int a, int b) {
    if (operation == MIN || operation == MAX) {
      return extremum32(f, operation, a, b);
    }
    boolean unary = operation == SQRT;
    if (!unary && isNan(a) || isNan(b)) {
      f.unit.flags |= !unary && isSignaling(a) || isSignaling(b) ? FloatUnit.INVALID : 0;
      return (!unary && isNan(a) ? a : b) | QUIET_32;
    }
    FloatUnit u = unit(f);
    u.a.setFloat(unary ? b : a);
    u.b.setFloat(b);
    apply(u, operation);
    u.round(24, -126, 127);
    return u.toFloat();
  }

  static boolean isSignaling(int bits) {
    return isNan(bits) && (bits & QUIET_32) == 0;
  }

  private static boolean isDenormal(int bits) {
    return (bits & 0x7F80_0000) == 0 && bits << 1 != 0;
  }

  private static int extremum32(FpuState f, int operation, int a, int b) {
    if (isNan(a) || isNan(b)) {
      f.unit.flags |= FloatUnit.INVALID;
      return b;
    }
    f.unit.flags |= isDenormal(a) || isDenormal(b) ? FloatUnit.DENORMAL : 0;
    float x = Float.intBitsToFloat(a);
    float y = Float.intBitsToFloat(b);
    return (operation == MIN ? x < y : x > y) ? a : b;
  }

  static int compare32(FpuState f, int first, int second, boolean quiet) {
    int a = operand(f, first);
    int b = operand(f, second);
    if (isNan(a) || isNan(b)) {
      f.unit.flags |= !quiet || isSignaling(a) || isSignaling(b) ? FloatUnit.INVALID : 0;
      return 2;
    }
    f.unit.flags |= isDenormal(a) || isDenormal(b) ? FloatUnit.DENORMAL : 0;
    float x = Float.intBitsToFloat(a);
    float y = Float.intBitsToFloat(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }

  // ---- conversions ---------------------------------------------------------------------------

  static long floatToDouble(FpuState f, int from) {
    int bits = operand(f, from);
    if (isNan(bits)) {
      f.unit.flags |= isSignaling(bits) ? FloatUnit.INVALID : 0;
      long fraction = (long) (bits & 0x7F_FFFF) << 29;
      return (bits < 0 ? 0xFFF8L : 0x7FF8L) << 48 | fraction;
    }
    f.unit.flags |= isDenormal(bits) ? FloatUnit.DENORMAL : 0;
    return Double.doubleToRawLongBits(Float.intBitsToFloat(bits));
  }

  static int doubleToFloat(FpuState f, long from) {
    long bits = operand(f, from);
    if (isNan(bits)) {
      f.unit.flags |= isSignaling(bits) ? FloatUnit.INVALID : 0;
      return (bits < 0 ? 0xFFC0_0000 : 0x7FC0_0000) | (int) (bits >>> 29) & 0x3F_FFFF;
    }
    if (ordinary(f) && isNormal(bits)) {
      int result = Float.floatToRawIntBits((float) Double.longBitsToDouble(bits));
      if (isNormal(result)) {
        return result;
      }
    }
    FloatUnit u = unit(f);
    u.a.setDouble(bits);
    u.convert();
    u.round(24, -126, 127);
    return u.toFloat();
  }

  static long longToDouble(FpuState f, long value) {
    if ((long) (int) value == value || ordinary(f)) {
      return Double.doubleToRawLongBits(value);
    }
    FloatUnit u = unit(f);
    u.a.setLong(value);
    u.convert();
    u.round(53, -1022, 1023);
    return u.toDouble();
  }

  static int longToFloat(FpuState f, long value) {
    if ((long) (short) value == value || ordinary(f)) {
      return Float.floatToRawIntBits((float) value);
    }
    FloatUnit u = unit(f);
    u.a.setLong(value);
    u.convert();
    u.round(24, -126, 127);
    return u.toFloat();
  }

  /** To a signed integer of {@code bits}; the integer indefinite where it does not fit. */
  static long doubleToInteger(FpuState f, long from, int bits, boolean truncate) {
    boolean toNearest = (f.mxcsr >> 13 & 3) == FloatUnit.NEAREST;
    if ((truncate || toNearest) && (isNormal(from) || isZero(from))) {
      double value = Double.longBitsToDouble(from);
      double integral = truncate ? value : Math.rint(value);
      long result = (long) integral;
      // Not the outermost: they stand for what does not fit, too.
      if (Math.abs(result) >> bits - 1 == 0 && result != Long.MAX_VALUE) {
        f.unit.flags |= (double) result == value ? 0 : FloatUnit.PRECISION;
        return result;
      }
    }
    f.unit.a.setDouble(operand(f, from));
    return toInteger(f, bits, truncate);
  }

  /** To a signed integer of {@code bits}. */
  static long floatToInteger(FpuState f, int from, int bits, boolean truncate) {
    f.unit.a.setFloat(operand(f, from));
    return toInteger(f, bits, truncate);
  }

  private static long toInteger(FpuState f, int bits, boolean truncate) {
    return f.unit.toInteger(bits, truncate ? FloatUnit.ZERO : f.mxcsr >> 13 & 3);
  }

  /** ROUNDSD: immediate bits 0–1 mode, 2 use MXCSR, 3 no inexact. */
  static long roundDouble(FpuState f, long from, int immediate) {
    long bits = operand(f, from);
    if (isNan(bits)) {
      f.unit.flags |= isSignaling(bits) ? FloatUnit.INVALID : 0;
      return bits | QUIET_64;
    }
    f.unit.a.setDouble(bits);
    if (f.unit.a.kind != FloatOperand.FINITE || f.unit.a.exponent >= 52) {
      return bits;
    }
    long magnitude = roundMagnitude(f, immediate);
    return bits & Long.MIN_VALUE | Double.doubleToRawLongBits(magnitude);
  }

  /** ROUNDSS. */
  static int roundFloat(FpuState f, int from, int immediate) {
    int bits = operand(f, from);
    if (isNan(bits)) {
      f.unit.flags |= isSignaling(bits) ? FloatUnit.INVALID : 0;
      return bits | QUIET_32;
    }
    f.unit.a.setFloat(bits);
    if (f.unit.a.kind != FloatOperand.FINITE || f.unit.a.exponent >= 23) {
      return bits;
    }
    long magnitude = roundMagnitude(f, immediate);
    return bits & Integer.MIN_VALUE | Float.floatToRawIntBits(magnitude);
  }

  private static long roundMagnitude(FpuState f, int immediate) {
    int before = f.unit.flags;
    int mode = (immediate & 4) != 0 ? f.mxcsr >> 13 & 3 : immediate & 3;
    long magnitude = f.unit.integerMagnitude(mode);
    if ((immediate & 8) != 0) {
      f.unit.flags = before;
    }
    return magnitude;
  }
}
