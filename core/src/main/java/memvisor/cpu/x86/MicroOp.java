package memvisor.cpu.x86;

/**
 * One predecoded operation: data that the interpreter executes and a translator can read.
 *
 * <p>An operation that faults has changed no architectural state. It never sets RIP unless it
 * transfers control; the run loop derives RIP from {@link #offset} and {@link #length}.
 */
abstract class MicroOp {
  /** Go on with the next operation of the block. */
  static final int NEXT = 0;

  /** Control was transferred: {@link Vcpu#rip} holds the target. */
  static final int BRANCH = 1;

  /** An exception is pending in the vCPU; the instruction did nothing. */
  static final int FAULT = 2;

  /**
   * The instruction completed and the block must end here: state that the decoded block or the run
   * loop depends on has changed (mode, interrupts, code, exit). RIP is the next instruction unless
   * the operation is a control transfer, which then returns {@link #BRANCH}.
   */
  static final int END = 3;

  /** The instruction completed one step of a repetition and is to be executed again. */
  static final int REPEAT = 4;

  /**
   * The code of the block is no longer what was decoded; nothing was executed. Only blocks
   * themselves answer this.
   */
  static final int STALE = 5;

  /** The longest instruction in bytes (Intel SDM vol. 2A, 2.3.11). */
  static final int MAX_LENGTH = 15;

  // Narrow fields here and in subclasses: code that runs now and then is spread over a heap whose
  // reach costs more than its execution.

  /** Offset of the instruction from the first byte of its block. */
  final short offset;

  /** Length of the instruction in bytes, 1 to 15. */
  final byte length;

  MicroOp(int offset, int length) {
    this.offset = (short) offset;
    this.length = (byte) length;
  }

  /** Executes on {@code c}; returns one of the constants above. */
  abstract int execute(Vcpu c);

  /** Whether nothing after this operation can be reached from it: the block ends here. */
  boolean endsBlock() {
    return isNearTransfer();
  }

  /** Whether this transfers control by changing RIP and nothing else that decoding depends on. */
  boolean isNearTransfer() {
    return false;
  }
}
