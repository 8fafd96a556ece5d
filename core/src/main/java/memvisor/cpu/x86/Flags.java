package memvisor.cpu.x86;

/**
 * RFLAGS: the status flags kept lazily as the last operation and its operands, the rest as bits.
 *
 * <p>Operands and result are sign-extended from the operand size to 64 bits. Unsigned order, signed
 * order, sign and zero survive that extension, so no flag depends on the operand size.
 */
final class Flags {
  static final int CF = 1;
  static final int PF = 1 << 2;
  static final int AF = 1 << 4;
  static final int ZF = 1 << 6;
  static final int SF = 1 << 7;
  static final int TF = 1 << 8;
  static final int IF = 1 << 9;
  static final int DF = 1 << 10;
  static final int OF = 1 << 11;
  static final int IOPL = 3 << 12;
  static final int NT = 1 << 14;
  static final int RF = 1 << 16;
  static final int VM = 1 << 17;
  static final int AC = 1 << 18;
  static final int VIF = 1 << 19;
  static final int VIP = 1 << 20;
  static final int ID = 1 << 21;

  /** CF, PF, AF, ZF, SF and OF. */
  static final int STATUS = CF | PF | AF | ZF | SF | OF;

  /** All six flags are in {@link #status}. */
  static final int EXPLICIT = 0;

  /** {@code left + right (+ carry) = result}. */
  static final int ADD = 1;

  /** {@code left - right = result}. */
  static final int SUB = 2;

  /** {@code left - right - borrow = result}; the borrow is seen in the result. */
  static final int SBB = 3;

  /** CF, OF and AF are clear; the rest follows the result. */
  static final int LOGIC = 4;

  /** As ADD of 1, but CF is in {@link #status}. */
  static final int INC = 5;

  /** As SUB of 1, but CF is in {@link #status}. */
  static final int DEC = 6;

  /** ZF, SF and PF follow the result; CF, OF and AF are in {@link #status}. */
  static final int RESULT = 7;

  /** All bits but the status flags. */
  long system = 2;

  /** What the fields below mean: one of the constants above. */
  int kind;

  long left;
  long right;
  long result;
  int status;

  /** RFLAGS as the processor would push it. */
  long value() {
    return system | status();
  }

  /** The six status flags in place. */
  int status() {
    if (kind != EXPLICIT) {
      status =
          (cf() ? CF : 0)
              | (pf() ? PF : 0)
              | (af() ? AF : 0)
              | (zf() ? ZF : 0)
              | (sf() ? SF : 0)
              | (of() ? OF : 0);
      kind = EXPLICIT;
    }
    return status;
  }

  /** Sets every flag from an RFLAGS image. */
  void setValue(long rflags) {
    system = rflags & ~STATUS | 2;
    setStatus((int) rflags);
  }

  /** Sets the six status flags from an image. */
  void setStatus(int image) {
    status = image & STATUS;
    kind = EXPLICIT;
  }

  /** Replaces the status flags in {@code mask} by those of {@code image}. */
  void setStatus(int mask, int image) {
    setStatus(status() & ~mask | image & mask);
  }

  boolean ac() {
    return (system & AC) != 0;
  }

  // ---- what operations leave behind; operands sign-extended ------------------------------------

  void add(long a, long b, long r) {
    kind = ADD;
    left = a;
    right = b;
    result = r;
  }

  void sub(long a, long b, long r) {
    kind = SUB;
    left = a;
    right = b;
    result = r;
  }

  void sbb(long a, long b, long r) {
    kind = SBB;
    left = a;
    right = b;
    result = r;
  }

  void logic(long r) {
    kind = LOGIC;
    result = r;
  }

  void inc(long a, long r) {
    status = cf() ? CF : 0;
    kind = INC;
    left = a;
    right = 1;
    result = r;
  }

  void dec(long a, long r) {
    status = cf() ? CF : 0;
    kind = DEC;
    left = a;
    right = 1;
    result = r;
  }

  /** ZF, SF and PF from the result; CF, OF and AF as given. */
  void result(long r, int carryOverflowAdjust) {
    status = carryOverflowAdjust;
    kind = RESULT;
    result = r;
  }

  /** Sets CF and OF from an image; the other flags stay. */
  void carryOverflow(int image) {
    int kept = kind == EXPLICIT ? status & ~(CF | OF) : af() ? AF : 0;
    kind = kind == EXPLICIT ? EXPLICIT : RESULT;
    status = kept | image;
  }

  /** Sets CF; the other flags stay. */
  void carry(boolean value) {
    carryOverflow((value ? CF : 0) | (of() ? OF : 0));
  }

  // ---- single flags --------------------------------------------------------------------------

  boolean cf() {
    return switch (kind) {
      case ADD -> (left & right | (left | right) & ~result) < 0;
      case SUB -> Long.compareUnsigned(left, right) < 0;
      case SBB -> (~left & right | (~left | right) & result) < 0;
      case LOGIC -> false;
      default -> (status & CF) != 0;
    };
  }

  boolean zf() {
    return kind == EXPLICIT ? (status & ZF) != 0 : result == 0;
  }

  boolean sf() {
    return kind == EXPLICIT ? (status & SF) != 0 : result < 0;
  }

  boolean pf() {
    return kind == EXPLICIT ? (status & PF) != 0 : (Integer.bitCount((int) result & 0xFF) & 1) == 0;
  }

  boolean af() {
    return switch (kind) {
      case ADD, SUB, SBB, INC, DEC -> ((left ^ right ^ result) & 0x10) != 0;
      case LOGIC -> false;
      default -> (status & AF) != 0;
    };
  }

  boolean of() {
    return switch (kind) {
      case ADD, INC -> ((left ^ result) & (right ^ result)) < 0;
      case SUB, SBB, DEC -> ((left ^ right) & (left ^ result)) < 0;
      case LOGIC -> false;
      default -> (status & OF) != 0;
    };
  }

  /** CF or ZF: "below or equal". */
  boolean belowOrEqual() {
    return kind == SUB ? Long.compareUnsigned(left, right) <= 0 : cf() || zf();
  }

  /** SF differs from OF: "less". */
  boolean less() {
    return kind == SUB ? left < right : sf() != of();
  }

  /** ZF, or SF differs from OF: "less or equal". */
  boolean lessOrEqual() {
    return kind == SUB ? left <= right : zf() || sf() != of();
  }

  /** The condition {@code cc} of Jcc, SETcc and CMOVcc (Intel SDM vol. 1, appendix B). */
  boolean condition(int cc) {
    boolean holds =
        switch (cc >>> 1) {
          case 0 -> of();
          case 1 -> cf();
          case 2 -> zf();
          case 3 -> belowOrEqual();
          case 4 -> sf();
          case 5 -> pf();
          case 6 -> less();
          default -> lessOrEqual();
        };
    return holds == ((cc & 1) == 0);
  }
}
