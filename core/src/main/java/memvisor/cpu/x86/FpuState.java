package memvisor.cpu.x86;

import java.util.Arrays;

/**
 * x87 state and MXCSR (Intel SDM vol. 1, 8.1 and 10.2), and the scratch operand of the SSE
 * operations.
 *
 * <p>Registers are physical, R0–R7; ST(i) is R(TOP + i). A register is a 64-bit significand with
 * explicit integer bit, and sign and exponent as the 16 bits the memory format has above it.
 */
final class FpuState {
  /** MXCSR after reset: every exception masked, round to nearest. */
  static final int MXCSR_RESET = 0x1F80;

  /** Bits of MXCSR that exist: flags, DAZ, masks, RC, FTZ. */
  static final int MXCSR_MASK = 0xFFFF;

  static final int CONTROL_RESET = 0x37F;

  int mxcsr = MXCSR_RESET;

  final long[] significand = new long[8];
  final int[] signExponent = new int[8];

  /** A bit per physical register; the other tags follow from the contents. */
  private int emptyMask;

  /** After RESET every exception is unmasked (SDM vol. 3A, table 10-1). */
  int control = 0x40;

  /** Status word without TOP. */
  int statusBits;

  int top;

  /** Last non-control instruction: opcode (11 bits), its address, its operand's address. */
  int lastOpcode;

  long lastInstruction;
  long lastData;

  /** Exact arithmetic, and the exceptions of the operation that runs now. */
  final FloatUnit unit = new FloatUnit();

  /** A 16-byte operand or result of the SSE operation that runs now. */
  long low;

  long high;

  /** FNINIT. */
  void initialize() {
    control = CONTROL_RESET;
    statusBits = 0;
    top = 0;
    emptyMask = 0xFF;
    lastOpcode = 0;
    lastInstruction = 0;
    lastData = 0;
  }

  /** RESET (SDM vol. 3A, table 10-1): every register holds +0. */
  void reset() {
    initialize();
    mxcsr = MXCSR_RESET;
    control = 0x40;
    emptyMask = 0;
    Arrays.fill(significand, 0);
    Arrays.fill(signExponent, 0);
  }

  int statusWord() {
    return statusBits | top << 11;
  }

  void setStatusWord(int word) {
    top = word >> 11 & 7;
    statusBits = word & ~(7 << 11) & 0xFFFF;
    updateSummary();
  }

  void setControl(int word) {
    control = word & 0x1F3F | 0x40;
    updateSummary();
  }

  /** ES and B follow the unmasked exceptions (SDM vol. 1, 8.1.3.3). */
  void updateSummary() {
    boolean pending = (statusBits & ~control & 0x3F) != 0;
    statusBits = pending ? statusBits | 0x8080 : statusBits & ~0x8080;
  }

  /** Whether an unmasked exception waits to be delivered at the next waiting instruction. */
  boolean exceptionPending() {
    return (statusBits & 0x80) != 0;
  }

  boolean isEmpty(int physical) {
    return (emptyMask >> physical & 1) != 0;
  }

  void setEmpty(int physical, boolean empty) {
    emptyMask = empty ? emptyMask | 1 << physical : emptyMask & ~(1 << physical);
  }

  /** The tag word of FXSAVE: a bit per physical register, set where it is not empty. */
  int abridgedTags() {
    return ~emptyMask & 0xFF;
  }

  void setAbridgedTags(int tags) {
    emptyMask = ~tags & 0xFF;
  }

  /** The tag word of FNSTENV, two bits per physical register. */
  int tagWord() {
    int word = 0;
    for (int i = 0; i < 8; i++) {
      word |= tag(i) << 2 * i;
    }
    return word;
  }

  void setTagWord(int word) {
    emptyMask = 0;
    for (int i = 0; i < 8; i++) {
      setEmpty(i, (word >> 2 * i & 3) == 3);
    }
  }

  private int tag(int physical) {
    if (isEmpty(physical)) {
      return 3;
    }
    int exponent = signExponent[physical] & 0x7FFF;
    long bits = significand[physical];
    if (exponent == 0 && bits == 0) {
      return 1;
    }
    return exponent == 0 || exponent == 0x7FFF || bits >= 0 ? 2 : 0;
  }
}
