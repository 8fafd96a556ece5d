package memvisor.cpu.x86;

/** The transcendental functions, in double precision; see {@link X87Functions}. */
final class X87Transcendental extends X87Op {
  private static final double LN_2 = 0.6931471805599453;

  private final int function;

  X87Transcendental(Instruction i, int second) {
    super(i);
    function = second;
  }

  private boolean binary() {
    return function == 0xF1 || function == 0xF3 || function == 0xF9;
  }

  @Override
  void run(Vcpu c, FpuState f) {
    if (isEmpty(f, 0) || binary() && isEmpty(f, 1)) {
      if (underflow(f)) {
        replace(f, Double.NaN);
      }
      return;
    }
    boolean pushes = function == 0xF2 || function == 0xFB;
    if (pushes && !roomForTwo(f)) {
      return;
    }
    FloatUnit u = unit(f);
    load(f, u.b, binary() ? 1 : 0);
    load(f, u.a, 0);
    if (nan(u, u.a, u.b)) {
      storeNan(f, pushes);
      return;
    }
    if (isTrigonometric() && u.a.kind == FloatOperand.FINITE && u.a.exponent >= 63) {
      f.statusBits = f.statusBits & ~C1 | C2;
      return;
    }
    f.statusBits &= ~(isTrigonometric() ? C2 : 0);
    double x = toDouble(u, u.a);
    double y = toDouble(u, u.b);
    u.flags = u.a.denormal || u.b.denormal ? FloatUnit.DENORMAL : 0;
    compute(f, x, y);
  }

  private boolean isTrigonometric() {
    return function == 0xF2 || function >= 0xFB;
  }

  /** The nearest double. */
  private static double toDouble(FloatUnit u, FloatOperand from) {
    int mode = u.mode;
    u.mode = FloatUnit.NEAREST;
    u.copy(from);
    u.round(53, -1022, 1023);
    u.mode = mode;
    return Double.longBitsToDouble(u.toDouble());
  }

  private void compute(FpuState f, double x, double y) {
    double result =
        switch (function) {
          case 0xF0 -> StrictMath.expm1(x * LN_2);
          case 0xF1 -> y * log2(x);
          case 0xF2 -> StrictMath.tan(x);
          case 0xF3 -> StrictMath.atan2(y, x);
          case 0xF9 -> y * (StrictMath.log1p(x) / LN_2);
          case 0xFF -> StrictMath.cos(x);
          default -> StrictMath.sin(x);
        };
    boolean pole = function == 0xF1 && x == 0 && y != 0 && !Double.isInfinite(y);
    if (Double.isNaN(result)) {
      f.unit.flags = FloatUnit.INVALID;
    } else if (pole) {
      f.unit.flags |= FloatUnit.DIVIDE_BY_ZERO;
    } else if (result != 0 && !Double.isInfinite(result) && !isExact(x, result)) {
      f.unit.flags |= FloatUnit.PRECISION;
    }
    if (!raiseUnit(f)) {
      return;
    }
    replace(f, result);
    if (function == 0xF2) {
      pushDouble(f, Double.isNaN(result) ? result : 1);
    } else if (function == 0xFB) {
      pushDouble(f, StrictMath.cos(x));
    }
  }

  private boolean isExact(double x, double result) {
    boolean whole = result == Math.rint(result);
    return whole && (function == 0xF1 || function == 0xF0 || x == 0);
  }

  /** Exact for powers of two. */
  private static double log2(double x) {
    if (!(x > 0) || Double.isInfinite(x) || x < Double.MIN_NORMAL) {
      return StrictMath.log(x) / LN_2;
    }
    int exponent = Math.getExponent(x);
    double fraction = Math.scalb(x, -exponent);
    return exponent + StrictMath.log(fraction) / LN_2;
  }

  /** Puts the result in ST(0), or in ST(1) and pops. */
  private void replace(FpuState f, double result) {
    if (binary()) {
      setDouble(f, 1, result);
      pop(f);
    } else {
      setDouble(f, 0, result);
    }
  }

  private static void setDouble(FpuState f, int index, double value) {
    if (Double.isNaN(value)) {
      setDefaultNan(f, index);
      return;
    }
    f.unit.a.setDouble(Double.doubleToRawLongBits(value));
    f.unit.copy(f.unit.a);
    setResult(f, index);
  }

  private static void pushDouble(FpuState f, double value) {
    push(f, 0, 0);
    setDouble(f, 0, value);
  }

  private void storeNan(FpuState f, boolean pushes) {
    if (!raiseUnit(f)) {
      return;
    }
    setResult(f, binary() ? 1 : 0);
    if (binary()) {
      pop(f);
    } else if (pushes) {
      push(f, f.unit.toSignExponent(), f.unit.toSignificand());
    }
  }
}
