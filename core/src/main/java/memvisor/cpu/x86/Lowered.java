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

  /** Operations of {@link BitChange}. */
  enum BitOperation {
    SET,
    RESET,
    COMPLEMENT
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
  record Memory(Address address, int sizeBytes) implements Place, Scalar {}

  /** Where a floating-point number is; a size of 4 bytes says float, 8 says double. */
  sealed interface Scalar {
    /** Width in bytes: 4 or 8. */
    int sizeBytes();
  }

  /** The low {@code sizeBytes} of a half of an XMM register; see {@link Vector}. */
  record Half(int number, int sizeBytes) implements Scalar {}

  /** A control transfer; it ends its block. */
  sealed interface Transfer extends Lowered {}

  /** {@code destination = destination OP source}, and the flags. */
  record Alu(Operation operation, Place destination, Place source) implements Lowered {}

  /** {@code destination = source}, zero- or sign-extended to the destination's size. */
  record Move(Place destination, Place source, boolean signed) implements Lowered {}

  /** The offset of the address of {@code source}. */
  record Lea(Register destination, Memory source) implements Lowered {}

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

  /** A shift by a constant from 1 to the width. */
  record Shift(ShiftOperation operation, Place destination, int amount) implements Lowered {}

  /** A shift of 4 or 8 bytes by CL. */
  record ShiftByCl(ShiftOperation operation, Place destination) implements Lowered {}

  /** A rotation of 4 or 8 bytes by a constant that is neither zero nor the width. */
  record Rotate(ShiftOperation operation, Place destination, int amount) implements Lowered {}

  /** SHLD or SHRD of 4 or 8 bytes by a constant that is not zero, or by CL. */
  record DoubleShift(boolean left, Place destination, Register source, int amount)
      implements Lowered {
    /** In place of the amount: CL. */
    static final int CL = 0;

    /** Whether CL holds the amount. */
    public boolean isByCl() {
      return amount == CL;
    }
  }

  /** {@code destination = left * right}, signed. */
  record Multiply(Register destination, Place left, Place right) implements Lowered {}

  /** {@code RDX:RAX = RAX * source} of 4 or 8 bytes. */
  record MultiplyWide(boolean signed, Place source) implements Lowered {}

  /** DIV or IDIV of {@code RDX:RAX} of 4 or 8 bytes. */
  record Divide(boolean signed, Place divisor) implements Lowered {}

  /** An operation on memory with a LOCK prefix. */
  record LockedAlu(Operation operation, Memory destination, Place source) implements Lowered {}

  /** XCHG, which is atomic with memory. */
  record Exchange(Place destination, Place register) implements Lowered {}

  /** XADD with memory. */
  record ExchangeAdd(Memory destination, Place register, boolean locked) implements Lowered {}

  /** CMPXCHG with memory. */
  record CompareExchange(Memory destination, Place register, boolean locked) implements Lowered {}

  /** BT by a register or a constant. */
  record BitTest(Place operand, Place index) implements Lowered {}

  /** BTS, BTR or BTC by a register or a constant. */
  record BitChange(BitOperation operation, Place operand, Place index, boolean locked)
      implements Lowered {}

  /** BSF or BSR. */
  record Scan(boolean forward, Register destination, Place source) implements Lowered {}

  /** BSWAP of a 4- or 8-byte register. */
  record SwapBytes(Register operand) implements Lowered {}

  /** CWDE and CDQE, {@code destination = source} sign-extended, or CDQ and CQO. */
  record SignOf(Register destination, Register source) implements Lowered {}

  /** LEAVE with 64-bit operands. */
  record Leave() implements Lowered {}

  /**
   * An operation on XMM registers; their halves are numbered as in the processor: 2n is the low
   * half of XMMn.
   */
  sealed interface Vector extends Lowered {}

  /** A load of 16 bytes into the register whose low half is {@code target}. */
  record LoadVector(int target, Memory source, boolean aligned) implements Vector {}

  /** A store of 16 bytes. */
  record StoreVector(Memory destination, int source, boolean aligned) implements Vector {}

  /** A copy of both halves. */
  record CopyVector(int target, int source) implements Vector {}

  /** A half from 4 or 8 bytes, zero-extended; maybe clears the half above it. */
  record SetHalf(int half, Place source, boolean clearsOther) implements Vector {}

  /** A half from another; maybe clears the half above it. */
  record MoveHalf(int target, int source, boolean clearsOther) implements Vector {}

  /** Four or eight bytes from a half. */
  record GetHalf(Place destination, int half) implements Vector {}

  /** Each half of the target becomes a function of {@code Lanes} of it and of the source's. */
  record LaneWise(String function, int target, int source, int count) implements Vector {
    /** In place of the source: the second operand is {@link #count}. */
    public static final int COUNT = -1;
  }

  /** The target becomes a function of {@code Shuffles} of it, the source and a constant. */
  record Shuffle(String function, int target, int source, int immediate) implements Vector {}

  /** ADD, MUL and others, by opcode, on the low half {@code target}. */
  record FloatArithmetic(int operation, int target, Scalar source) implements Vector {}

  /** COMISS and COMISD; {@code quiet} for UCOMISS and UCOMISD. */
  record FloatOrder(boolean quiet, int target, Scalar source) implements Vector {}

  /** CVTSI2SS and CVTSI2SD to {@code sizeBytes}. */
  record IntegerToFloat(int target, int sizeBytes, Place source) implements Vector {}

  /** CVTSS2SI, CVTSD2SI and, if {@code truncate}, their truncating forms. */
  record FloatToInteger(Register destination, Scalar source, boolean truncate) implements Vector {}

  /** CVTSS2SD and CVTSD2SS. */
  record ConvertFloat(int target, Scalar source) implements Vector {}

  /** PMOVMSKB. */
  record ByteMask(Register destination, int source) implements Vector {}

  /** Nothing. */
  record Nop() implements Lowered {}

  /** REP STOS with 64-bit addresses. */
  record Fill(int sizeBytes) implements Lowered {}

  /** REP MOVS with 64-bit addresses, from a segment without a base. */
  record CopyString(int sizeBytes) implements Lowered {}

  /**
   * Whatever else: executed by the operation itself.
   *
   * @param reads bit set of the general registers that it may read
   * @param writes bit set of those that it may write
   * @param status whether it may read or write status flags
   */
  record Opaque(int reads, int writes, boolean status) implements Lowered {
    private static final int ALL = (1 << 16) - 1;

    /** An operation that nothing is known of. */
    static final Opaque UNKNOWN = new Opaque(ALL, ALL, true);

    /** Whether nothing is known: it may also change what SSE operations need. */
    public boolean isUnknown() {
      return equals(UNKNOWN);
    }
  }
}
