package memvisor.cpu.x86;

/**
 * Status flags that one block of a translation leaves to the next, outside the processor: a kind
 * and the values that it needs. Generated code calls this where it cannot know the kind.
 */
public final class CarriedFlags {
  /** Kind: the processor holds them. */
  public static final int IN_PROCESSOR = Flags.EXPLICIT;

  /** Kind: {@code left + right (+ carry) = result}. */
  public static final int SUM = Flags.ADD;

  /** Kind: {@code left - right}; so many high bits are unused, which is beside the kind. */
  public static final int DIFFERENCE = Flags.SUB;

  /** Kind: {@code left - right - borrow = result}. */
  public static final int BORROWED = Flags.SBB;

  /** Kind: the result of a logical operation. */
  public static final int LOGICAL = Flags.LOGIC;

  /** Where the kind says how many high bits of a difference are unused. */
  public static final int UNUSED_SHIFT = 8;

  /** Beside the kind: then came an INC, ... */
  public static final int STEP_UP = 1 << 16;

  /** ... or a DEC. */
  public static final int STEP_DOWN = 1 << 17;

  private static final int KIND = (1 << UNUSED_SHIFT) - 1;

  private CarriedFlags() {}

  /** Has the processor hold them. */
  static void store(
      Vcpu c, int kind, long left, long right, long result, long stepLeft, long stepResult) {
    Flags flags = c.flags;
    switch (kind & KIND) {
      case SUM -> flags.add(left, right, result);
      case DIFFERENCE -> {
        int unused = kind >>> UNUSED_SHIFT & 63;
        flags.sub(left, right, left - right << unused >> unused);
      }
      case BORROWED -> flags.sbb(left, right, result);
      case LOGICAL -> flags.logic(result);
      default -> {
        // in the processor
      }
    }
    if ((kind & STEP_UP) != 0) {
      flags.inc(stepLeft, stepResult);
    } else if ((kind & STEP_DOWN) != 0) {
      flags.dec(stepLeft, stepResult);
    }
  }

  /** Whether a condition, as in the opcode, holds; the processor holds them then. */
  static boolean condition(
      Vcpu c,
      int kind,
      long left,
      long right,
      long result,
      long stepLeft,
      long stepResult,
      int condition) {
    store(c, kind, left, right, result, stepLeft, stepResult);
    return c.flags.condition(condition);
  }

  /** CF. */
  static boolean carry(Vcpu c, int kind, long left, long right, long result) {
    return switch (kind & KIND) {
      case SUM -> StatusFunctions.carryOfAdd(left, right, result);
      case DIFFERENCE -> Long.compareUnsigned(left, right) < 0;
      case BORROWED -> StatusFunctions.carryOfSbb(left, right, result);
      case LOGICAL -> false;
      default -> c.flags.cf();
    };
  }
}
