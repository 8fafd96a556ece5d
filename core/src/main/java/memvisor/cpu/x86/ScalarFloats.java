package memvisor.cpu.x86;

/**
 * Scalar SSE floating-point operations for generated code, which has found that SSE may be used and
 * has read the source operand. They do what the operations of {@link SseArithmetic} and {@link
 * SseConversions} do, and answer nothing where an unmasked exception is raised: {@link Vcpu#fault}
 * is set then, and no register has changed.
 *
 * <p>The common case, in which Java's arithmetic cannot be told from the processor's, comes first
 * and is small enough to be inlined.
 */
final class ScalarFloats {
  private ScalarFloats() {}

  /** Where exceptions were raised, has them seen in MXCSR; whether one is unmasked. */
  private static boolean faults(Vcpu c) {
    return c.fpu.unit.flags != 0 && SseArithmetic.FloatOp.faults(c, c.fpu);
  }

  // ---- arithmetic ------------------------------------------------------------------------------

  /** {@code target = target operation b} of doubles; the square root is of b. */
  static void binary64(Vcpu c, long b, int operation, int target) {
    FpuState f = c.fpu;
    long a = c.xmm[target];
    if (SseFloat.ordinary(f)) {
      long result = SseFloat.rounded64(operation, a, b);
      if (SseFloat.isUnremarkable64(operation, a, b, result)) {
        c.xmm[target] = result;
        return;
      }
    }
    exact64(c, b, operation, target);
  }

  private static void exact64(Vcpu c, long b, int operation, int target) {
    c.fpu.unit.flags = 0;
    long result = SseFloat.binary64(c.fpu, operation, c.xmm[target], b);
    if (!faults(c)) {
      c.xmm[target] = result;
    }
  }

  /** {@code target = target operation b} of floats in the low half of {@code b}. */
  static void binary32(Vcpu c, long b, int operation, int target) {
    c.fpu.unit.flags = 0;
    long a = c.xmm[target];
    int result = SseFloat.binary32(c.fpu, operation, (int) a, (int) b);
    if (!faults(c)) {
      c.xmm[target] = Lanes.withLow32(a, result);
    }
  }

  // ---- comparison ------------------------------------------------------------------------------

  /** COMISD and, if {@code quiet}, UCOMISD: the status flags. */
  static int order64(Vcpu c, long b, int target, int quiet) {
    c.fpu.unit.flags = 0;
    int order = SseFloat.compare64(c.fpu, c.xmm[target], b, quiet != 0);
    return faults(c) ? 0 : SseArithmetic.status(order);
  }

  /** COMISS and, if {@code quiet}, UCOMISS: the status flags. */
  static int order32(Vcpu c, long b, int target, int quiet) {
    c.fpu.unit.flags = 0;
    int order = SseFloat.compare32(c.fpu, (int) c.xmm[target], (int) b, quiet != 0);
    return faults(c) ? 0 : SseArithmetic.status(order);
  }

  // ---- conversion ------------------------------------------------------------------------------

  /** CVTTSD2SI and, unless {@code truncate}, CVTSD2SI, to an integer of {@code bits}. */
  static long doubleToInteger(Vcpu c, long from, int bits, int truncate) {
    c.fpu.unit.flags = 0;
    long result = SseFloat.doubleToInteger(c.fpu, from, bits, truncate != 0);
    return faults(c) ? 0 : result;
  }

  /** CVTTSS2SI and, unless {@code truncate}, CVTSS2SI, to an integer of {@code bits}. */
  static long floatToInteger(Vcpu c, long from, int bits, int truncate) {
    c.fpu.unit.flags = 0;
    long result = SseFloat.floatToInteger(c.fpu, (int) from, bits, truncate != 0);
    return faults(c) ? 0 : result;
  }

  /** CVTSI2SD. */
  static void integerToDouble(Vcpu c, long value, int target) {
    c.fpu.unit.flags = 0;
    long result = SseFloat.longToDouble(c.fpu, value);
    if (!faults(c)) {
      c.xmm[target] = result;
    }
  }

  /** CVTSI2SS. */
  static void integerToFloat(Vcpu c, long value, int target) {
    c.fpu.unit.flags = 0;
    int result = SseFloat.longToFloat(c.fpu, value);
    if (!faults(c)) {
      c.xmm[target] = Lanes.withLow32(c.xmm[target], result);
    }
  }

  /** CVTSD2SS. */
  static void doubleToFloat(Vcpu c, long from, int target) {
    c.fpu.unit.flags = 0;
    int result = SseFloat.doubleToFloat(c.fpu, from);
    if (!faults(c)) {
      c.xmm[target] = Lanes.withLow32(c.xmm[target], result);
    }
  }

  /** CVTSS2SD. */
  static void floatToDouble(Vcpu c, long from, int target) {
    c.fpu.unit.flags = 0;
    long result = SseFloat.floatToDouble(c.fpu, (int) from);
    if (!faults(c)) {
      c.xmm[target] = result;
    }
  }
}
