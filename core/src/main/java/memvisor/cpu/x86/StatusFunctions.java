package memvisor.cpu.x86;

/**
 * Status flags from operands and results, for generated code that needs one and not the others.
 * Operands and results are sign-extended.
 */
final class StatusFunctions {
  private StatusFunctions() {}

  static boolean parity(long result) {
    return (Integer.bitCount((int) result & 0xFF) & 1) == 0;
  }

  static boolean carryOfAdd(long left, long right, long result) {
    return (left & right | (left | right) & ~result) < 0;
  }

  static boolean carryOfSbb(long left, long right, long result) {
    return (~left & right | (~left | right) & result) < 0;
  }

  static boolean overflowOfAdd(long left, long right, long result) {
    return ((left ^ result) & (right ^ result)) < 0;
  }

  static boolean overflowOfSub(long left, long right, long result) {
    return ((left ^ right) & (left ^ result)) < 0;
  }

  /** CF and OF of SHL; operand and result sign-extended. */
  static int statusOfShl(long operand, long result, int amount, int width) {
    boolean carry = (operand >>> width - amount & 1) != 0;
    return (carry ? Flags.CF : 0) | (carry != result < 0 ? Flags.OF : 0);
  }

  /** CF and OF of SHR. */
  static int statusOfShr(long operand, int amount) {
    return ((operand >>> amount - 1 & 1) != 0 ? Flags.CF : 0) | (operand < 0 ? Flags.OF : 0);
  }

  /** CF and OF of SAR. */
  static int statusOfSar(long operand, int amount) {
    return (operand >>> amount - 1 & 1) != 0 ? Flags.CF : 0;
  }

  /** CF and OF of a product: set if its high half says more than the sign of the low one. */
  static int statusOfProduct(long high, long sign) {
    return high == sign ? 0 : Flags.CF | Flags.OF;
  }

  /** CF and OF of ROL, from its result. */
  static int statusOfRol(long result, int width) {
    boolean carry = (result & 1) != 0;
    boolean top = (result >>> width - 1 & 1) != 0;
    return (carry ? Flags.CF : 0) | (top != carry ? Flags.OF : 0);
  }

  /** CF and OF of ROR, from its result. */
  static int statusOfRor(long result, int width) {
    boolean carry = (result >>> width - 1 & 1) != 0;
    boolean second = (result >>> width - 2 & 1) != 0;
    return (carry ? Flags.CF : 0) | (carry != second ? Flags.OF : 0);
  }

  /** CF and OF of SHLD. */
  static int statusOfShld(long operand, long result, int amount, int width) {
    boolean carry = (operand >>> width - amount & 1) != 0;
    return (carry ? Flags.CF : 0) | ((operand ^ result) < 0 ? Flags.OF : 0);
  }

  /** CF and OF of SHRD. */
  static int statusOfShrd(long operand, long result, int amount, int width) {
    boolean carry = (operand >>> amount - 1 & 1) != 0;
    return (carry ? Flags.CF : 0) | ((operand ^ result) < 0 ? Flags.OF : 0);
  }
}
