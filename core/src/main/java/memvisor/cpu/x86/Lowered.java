package memvisor.cpu.x86;

/**
 * What a micro-operation does, in the terms of a translator: a closed set of forms that covers what
 * programs spend their time in. Whatever has no form is {@link Opaque} and is executed as it is.
 *
 * <p>The forms describe 64-bit code only.
 */
public sealed interface Lowered {
  /** Operations of {@link Alu}. */
  enum Operation {
    ADD,
    OR,
    ADC,
    SBB,
    AND,
    SUB,
    XOR,
    CMP,
    TEST,
    INC,
    DEC,
    NOT,
    NEG
  }

  /** Operations of {@link Shift} and {@link Rotate}. */
  enum ShiftOperation {
    ROL,
    ROR,
    SHL,
    SHR,
    SAR
  }

  /**
   * A memory operand {@code segment:[base + index << scale + displacement]}; {@code mask} wraps the
   * offset. Absent registers are {@link #NONE}.
   */
  record Address(int base, int index, int scale, long displacement, int segment, long mask) {
    /** No register. */
    public static final int NONE = Vcpu.ZERO;

    /** The base of a RIP-relative operand: the RIP of the block's first instruction. */
    public static final int BLOCK = Vcpu.BLOCK;

    /** Whether the segment has a base in 64-bit code (FS and GS only). */
    public boolean hasSegmentBase() {
      return segment == Vcpu.FS || segment == Vcpu.GS;
    }
  }

  /** Where a value is. */
  sealed interface Place {
    /** Width in bytes: 1, 2, 4 or 8. */
    int sizeBytes();
  }

  /** The low {@code sizeBytes} of a general register. */
  record Register(int number, int sizeBytes) implements Place {}

  /** AH, CH, DH or BH: bits 8 to 15 of register {@code number}. */
  record HighByte(int number) implements Place {
    @Override
    public int sizeBytes() {
      return 1;
    }
  }

  /** A constant, sign-extended. */
  record Immediate(long value, int sizeBytes) implements Place {}

  /** A memory operand of a size. */
  record Memory(Address address, int sizeBytes) implements Place {}

  /** A control transfer; it ends its block. */
  sealed interface Transfer extends Lowered {}

  /** {@code destination = destination OP source}, and the flags. */
  record Alu(Operation operation, Place destination, Place source) implements Lowered {}

  /** {@code destination = source}, zero- or sign-extended to the destination's size. */
  record Move(Place destination, Place source, boolean signed) implements Lowered {}

  /** The offset of an address. */
  record Lea(Register destination, Address address) implements Lowered {}

  /** A 64-bit push. */
  record Push(Place source) implements Lowered {}

  /** A 64-bit pop into a register. */
  record Pop(int register) implements Lowered {}

  /** A jump; targets are relative to the RIP of the block's first instruction. */
  record Jump(long target) implements Transfer {}

  /** A conditional jump; {@code condition} as in the opcode. */
  record JumpIf(int condition, long target) implements Transfer {}

  /** A jump to where a place says. */
  record JumpIndirect(Place target) implements Transfer {}

  /** A near call. */
  record Call(long target) implements Transfer {}

  /** A near call to where a place says. */
  record CallIndirect(Place target) implements Transfer {}

  /** A near return that releases further bytes of the stack. */
  record Return(int releasedBytes) implements Transfer {}

  /** CMOVcc. */
  record ConditionalMove(int condition, Register destination, Place source) implements Lowered {}

  /** SETcc. */
  record SetCondition(int condition, Place destination) implements Lowered {}

  /** A shift of a 4- or 8-byte register by a constant that is not zero. */
  record Shift(ShiftOperation operation, Register destination, int amount) implements Lowered {}

  /** A rotation of a 4- or 8-byte register by a constant that is not zero nor its width. */
  record Rotate(ShiftOperation operation, Register destination, int amount) implements Lowered {}

  /** {@code destination = left * right}, signed. */
  record Multiply(Register destination, Place left, Place right) implements Lowered {}

  /** {@code RDX:RAX = RAX * source} of 64 bits. */
  record MultiplyWide(boolean signed, Place source) implements Lowered {}

  /** BT of a register by a register or a constant. */
  record BitTest(Register operand, Place index) implements Lowered {}

  /** BSWAP of a 4- or 8-byte register. */
  record SwapBytes(Register operand) implements Lowered {}

  /** CWDE and CDQE, {@code destination = source} sign-extended, or CDQ and CQO. */
  record SignOf(Register destination, Register source) implements Lowered {}

  /** LEAVE with 64-bit operands. */
  record Leave() implements Lowered {}

  /** Nothing. */
  record Nop() implements Lowered {}

  /** Whatever else: executed by the operation itself. */
  record Opaque() implements Lowered {}
}
