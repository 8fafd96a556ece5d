package memvisor.cpu.x86.asm;

/** The general-purpose instructions (SDM vol. 2, appendix A). */
abstract sealed class IntegerAssembler extends Encoder permits SystemAssembler {
  IntegerAssembler(long origin) {
    super(origin);
  }

  // ---- data movement -------------------------------------------------------------------------

  /** MOV between registers and memory, or with a segment, control or debug register. */
  public final void mov(Operand to, Operand from) {
    switch (to) {
      case SegmentRegister s -> instruction(0x8E, 0, s, from, 0);
      case ControlRegister c -> instruction(0x0F22, 0, c, from, 0);
      case DebugRegister d -> instruction(0x0F23, 0, d, from, 0);
      case Register r -> movToRegister(r, from);
      case Memory m -> movToMemory(m, from);
      case Xmm x -> throw new IllegalArgumentException("use movd or movq: " + x);
    }
  }

  private void movToRegister(Register to, Operand from) {
    switch (from) {
      case SegmentRegister s -> instruction(0x8C, to.sizeBytes, s, to, 0);
      case ControlRegister c -> instruction(0x0F20, 0, c, to, 0);
      case DebugRegister d -> instruction(0x0F21, 0, d, to, 0);
      case Memory m -> byWidth(0x8A, sizeOf(to, m), to, m, 0);
      case Register r -> byWidth(0x88, sizeOf(to, r), r, to, 0);
      case Xmm x -> throw new IllegalArgumentException("use movd or movq: " + x);
    }
  }

  private void movToMemory(Memory to, Operand from) {
    if (from instanceof SegmentRegister s) {
      instruction(0x8C, 0, s, to, 0);
    } else {
      byWidth(0x88, sizeOf(to, from), from, to, 0);
    }
  }

  /** MOV of an immediate; a 64-bit register takes the shortest form that gives the value. */
  public final void mov(Operand to, long value) {
    if (to instanceof Register r) {
      if (r.sizeBytes == 8 && value >>> 32 == 0) {
        plusRegister(0xB8, 4, r);
        emit(4, value);
      } else if (r.sizeBytes == 8 && isSigned(value, 4)) {
        instruction(0xC7, 8, 0, r, 4);
        emit(4, value);
      } else {
        plusRegister(r.sizeBytes == 1 ? 0xB0 : 0xB8, r.sizeBytes, r);
        emitImmediate(r.sizeBytes, value);
      }
      return;
    }
    int size = sizeOf(to);
    int width = Math.min(size, 4);
    byWidthExtension(0xC6, size, 0, to, width);
    emitSignedImmediate(size, width, value);
  }

  /** MOV of a label's address (64-bit: MOVABS). */
  public final void mov(Register to, Label address) {
    plusRegister(0xB8, to.sizeBytes, to);
    emitAddress(to.sizeBytes, address, 0);
  }

  /** MOV between the accumulator and a 64-bit absolute address (A0–A3). */
  public final void movAbsolute(Register accumulator, long address, boolean store) {
    int opcode = (store ? 0xA2 : 0xA0) | (accumulator.sizeBytes == 1 ? 0 : 1);
    plain(opcode, accumulator.sizeBytes);
    emit(bits() / 8, address);
  }

  /** MOVZX; memory must state its width. */
  public final void movzx(Register to, Operand from) {
    instruction(sizeOf(from) == 1 ? 0x0FB6 : 0x0FB7, to.sizeBytes, to, from, 0);
  }

  /** MOVSX and MOVSXD; memory must state its width. */
  public final void movsx(Register to, Operand from) {
    int opcode = sizeOf(from) == 1 ? 0x0FBE : sizeOf(from) == 2 ? 0x0FBF : 0x63;
    instruction(opcode, to.sizeBytes, to, from, 0);
  }

  /** LEA. */
  public final void lea(Register to, Memory from) {
    instruction(0x8D, to.sizeBytes, to, from, 0);
  }

  /** XCHG. */
  public final void xchg(Operand a, Register b) {
    byWidth(0x86, sizeOf(a, b), b, a, 0);
  }

  /** BSWAP. */
  public final void bswap(Register register) {
    plusRegister(0x0FC8, register.sizeBytes, register);
  }

  /** PUSH of a register (2 or 8 bytes in 64-bit code), memory or segment register. */
  public final void push(Operand from) {
    switch (from) {
      case Register r -> plusRegister(0x50, stackSize(r.sizeBytes), r);
      case SegmentRegister s -> plain(s.ordinal() < 4 ? 0x06 | s.ordinal() << 3 : fsGs(s, 0), 0);
      case Operand o -> instruction(0xFF, stackSize(sizeOf(o)), 6, o, 0);
    }
  }

  /** PUSH of a sign-extended immediate. */
  public final void push(long value) {
    emitByte(isSigned(value, 1) ? 0x6A : 0x68);
    emitImmediate(isSigned(value, 1) ? 1 : bits() == 16 ? 2 : 4, value);
  }

  /** POP. */
  public final void pop(Operand to) {
    switch (to) {
      case Register r -> plusRegister(0x58, stackSize(r.sizeBytes), r);
      case SegmentRegister s -> plain(s.ordinal() < 4 ? 0x07 | s.ordinal() << 3 : fsGs(s, 1), 0);
      case Operand o -> instruction(0x8F, stackSize(sizeOf(o)), 0, o, 0);
    }
  }

  private static int fsGs(SegmentRegister s, int pop) {
    return (s == SegmentRegister.FS ? 0x0FA0 : 0x0FA8) + pop;
  }

  /** Eight-byte stack operands are the default of 64-bit code. */
  private int stackSize(int sizeBytes) {
    if (bits() == 64 ? sizeBytes == 4 || sizeBytes == 1 : sizeBytes == 8) {
      throw new IllegalArgumentException("sizeBytes=%d bits=%d".formatted(sizeBytes, bits()));
    }
    return sizeBytes == 8 ? 0 : sizeBytes;
  }

  // ---- arithmetic ----------------------------------------------------------------------------

  /** ADD. */
  public final void add(Operand to, Operand from) {
    alu(0, to, from);
  }

  /** ADD of a sign-extended immediate. */
  public final void add(Operand to, long value) {
    alu(0, to, value);
  }

  /** OR. */
  public final void or(Operand to, Operand from) {
    alu(1, to, from);
  }

  /** OR of a sign-extended immediate. */
  public final void or(Operand to, long value) {
    alu(1, to, value);
  }

  /** ADC. */
  public final void adc(Operand to, Operand from) {
    alu(2, to, from);
  }

  /** ADC of a sign-extended immediate. */
  public final void adc(Operand to, long value) {
    alu(2, to, value);
  }

  /** SBB. */
  public final void sbb(Operand to, Operand from) {
    alu(3, to, from);
  }

  /** SBB of a sign-extended immediate. */
  public final void sbb(Operand to, long value) {
    alu(3, to, value);
  }

  /** AND. */
  public final void and(Operand to, Operand from) {
    alu(4, to, from);
  }

  /** AND of a sign-extended immediate. */
  public final void and(Operand to, long value) {
    alu(4, to, value);
  }

  /** SUB. */
  public final void sub(Operand to, Operand from) {
    alu(5, to, from);
  }

  /** SUB of a sign-extended immediate. */
  public final void sub(Operand to, long value) {
    alu(5, to, value);
  }

  /** XOR. */
  public final void xor(Operand to, Operand from) {
    alu(6, to, from);
  }

  /** XOR of a sign-extended immediate. */
  public final void xor(Operand to, long value) {
    alu(6, to, value);
  }

  /** CMP. */
  public final void cmp(Operand a, Operand b) {
    alu(7, a, b);
  }

  /** CMP with a sign-extended immediate. */
  public final void cmp(Operand a, long value) {
    alu(7, a, value);
  }

  private void alu(int operation, Operand to, Operand from) {
    int size = sizeOf(to, from);
    if (from instanceof Memory) {
      byWidth(operation << 3 | 2, size, to, from, 0);
    } else {
      byWidth(operation << 3, size, from, to, 0);
    }
  }

  private void alu(int operation, Operand to, long value) {
    int size = sizeOf(to);
    if (size == 1) {
      instruction(0x80, 1, operation, to, 1);
      emitImmediate(1, value);
    } else if (isSigned(value, 1)) {
      instruction(0x83, size, operation, to, 1);
      emit(1, value);
    } else {
      int width = Math.min(size, 4);
      instruction(0x81, size, operation, to, width);
      emitSignedImmediate(size, width, value);
    }
  }

  /** TEST. */
  public final void test(Operand a, Register b) {
    byWidth(0x84, sizeOf(a, b), b, a, 0);
  }

  /** TEST with a sign-extended immediate. */
  public final void test(Operand a, long value) {
    int size = sizeOf(a);
    int width = Math.min(size, 4);
    byWidthExtension(0xF6, size, 0, a, width);
    emitSignedImmediate(size, width, value);
  }

  /** INC. */
  public final void inc(Operand operand) {
    byWidthExtension(0xFE, sizeOf(operand), 0, operand, 0);
  }

  /** DEC. */
  public final void dec(Operand operand) {
    byWidthExtension(0xFE, sizeOf(operand), 1, operand, 0);
  }

  /** NOT. */
  public final void not(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 2, operand, 0);
  }

  /** NEG. */
  public final void neg(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 3, operand, 0);
  }

  /** MUL into the accumulator pair. */
  public final void mul(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 4, operand, 0);
  }

  /** IMUL into the accumulator pair. */
  public final void imul(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 5, operand, 0);
  }

  /** DIV. */
  public final void div(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 6, operand, 0);
  }

  /** IDIV. */
  public final void idiv(Operand operand) {
    byWidthExtension(0xF6, sizeOf(operand), 7, operand, 0);
  }

  /** IMUL with two operands. */
  public final void imul(Register to, Operand from) {
    instruction(0x0FAF, sizeOf(to, from), to, from, 0);
  }

  /** IMUL with an immediate. */
  public final void imul(Register to, Operand from, long value) {
    int size = sizeOf(to, from);
    int width = isSigned(value, 1) ? 1 : Math.min(size, 4);
    instruction(width == 1 ? 0x6B : 0x69, size, to, from, width);
    emitSignedImmediate(size, width, value);
  }

  /** CBW, CWDE or CDQE: widens the accumulator to {@code sizeBytes}. */
  public final void extendAccumulator(int sizeBytes) {
    plain(0x98, sizeBytes);
  }

  /** CWD, CDQ or CQO: widens the accumulator of {@code sizeBytes} into (E/R)DX. */
  public final void extendIntoDx(int sizeBytes) {
    plain(0x99, sizeBytes);
  }

  /** CDQE. */
  public final void cdqe() {
    extendAccumulator(8);
  }

  /** CDQ. */
  public final void cdq() {
    extendIntoDx(4);
  }

  /** CQO. */
  public final void cqo() {
    extendIntoDx(8);
  }

  // ---- shifts and bits -----------------------------------------------------------------------

  /** ROL by a constant. */
  public final void rol(Operand operand, int count) {
    shift(0, operand, count);
  }

  /** ROR by a constant. */
  public final void ror(Operand operand, int count) {
    shift(1, operand, count);
  }

  /** RCL by a constant. */
  public final void rcl(Operand operand, int count) {
    shift(2, operand, count);
  }

  /** RCR by a constant. */
  public final void rcr(Operand operand, int count) {
    shift(3, operand, count);
  }

  /** SHL by a constant. */
  public final void shl(Operand operand, int count) {
    shift(4, operand, count);
  }

  /** SHR by a constant. */
  public final void shr(Operand operand, int count) {
    shift(5, operand, count);
  }

  /** SAR by a constant. */
  public final void sar(Operand operand, int count) {
    shift(7, operand, count);
  }

  /** ROL by CL. */
  public final void rolCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 0, operand, 0);
  }

  /** ROR by CL. */
  public final void rorCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 1, operand, 0);
  }

  /** RCL by CL. */
  public final void rclCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 2, operand, 0);
  }

  /** RCR by CL. */
  public final void rcrCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 3, operand, 0);
  }

  /** SHL by CL. */
  public final void shlCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 4, operand, 0);
  }

  /** SHR by CL. */
  public final void shrCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 5, operand, 0);
  }

  /** SAR by CL. */
  public final void sarCl(Operand operand) {
    byWidthExtension(0xD2, sizeOf(operand), 7, operand, 0);
  }

  private void shift(int operation, Operand operand, int count) {
    if (count == 1) {
      byWidthExtension(0xD0, sizeOf(operand), operation, operand, 0);
    } else {
      byWidthExtension(0xC0, sizeOf(operand), operation, operand, 1);
      emitImmediate(1, count);
    }
  }

  /** SHLD by a constant. */
  public final void shld(Operand to, Register from, int count) {
    instruction(0x0FA4, sizeOf(to, from), from, to, 1);
    emitImmediate(1, count);
  }

  /** SHRD by a constant. */
  public final void shrd(Operand to, Register from, int count) {
    instruction(0x0FAC, sizeOf(to, from), from, to, 1);
    emitImmediate(1, count);
  }

  /** SHLD by CL. */
  public final void shldCl(Operand to, Register from) {
    instruction(0x0FA5, sizeOf(to, from), from, to, 0);
  }

  /** SHRD by CL. */
  public final void shrdCl(Operand to, Register from) {
    instruction(0x0FAD, sizeOf(to, from), from, to, 0);
  }

  /** BT. */
  public final void bt(Operand base, Register bit) {
    instruction(0x0FA3, sizeOf(base, bit), bit, base, 0);
  }

  /** BTS. */
  public final void bts(Operand base, Register bit) {
    instruction(0x0FAB, sizeOf(base, bit), bit, base, 0);
  }

  /** BTR. */
  public final void btr(Operand base, Register bit) {
    instruction(0x0FB3, sizeOf(base, bit), bit, base, 0);
  }

  /** BTC. */
  public final void btc(Operand base, Register bit) {
    instruction(0x0FBB, sizeOf(base, bit), bit, base, 0);
  }

  /** BT with a constant. */
  public final void bt(Operand base, int bit) {
    bitGroup(4, base, bit);
  }

  /** BTS with a constant. */
  public final void bts(Operand base, int bit) {
    bitGroup(5, base, bit);
  }

  /** BTR with a constant. */
  public final void btr(Operand base, int bit) {
    bitGroup(6, base, bit);
  }

  /** BTC with a constant. */
  public final void btc(Operand base, int bit) {
    bitGroup(7, base, bit);
  }

  private void bitGroup(int operation, Operand base, int bit) {
    instruction(0x0FBA, sizeOf(base), operation, base, 1);
    emitImmediate(1, bit);
  }

  /** BSF. */
  public final void bsf(Register to, Operand from) {
    instruction(0x0FBC, sizeOf(to, from), to, from, 0);
  }

  /** BSR. */
  public final void bsr(Register to, Operand from) {
    instruction(0x0FBD, sizeOf(to, from), to, from, 0);
  }

  /** POPCNT. */
  public final void popcnt(Register to, Operand from) {
    operandSize(sizeOf(to, from));
    instruction(0xF300_0FB8, to.sizeBytes == 8 ? 8 : 0, to, from, 0);
  }

  /** TZCNT: BSF on processors without BMI1. */
  public final void tzcnt(Register to, Operand from) {
    operandSize(sizeOf(to, from));
    instruction(0xF300_0FBC, to.sizeBytes == 8 ? 8 : 0, to, from, 0);
  }

  /** LZCNT: BSR on processors without it. */
  public final void lzcnt(Register to, Operand from) {
    operandSize(sizeOf(to, from));
    instruction(0xF300_0FBD, to.sizeBytes == 8 ? 8 : 0, to, from, 0);
  }

  // ---- conditions and atomics ----------------------------------------------------------------

  /** CMOVcc. */
  public final void cmov(Condition condition, Register to, Operand from) {
    instruction(0x0F40 | condition.ordinal(), sizeOf(to, from), to, from, 0);
  }

  /** SETcc: the operand is one byte. */
  public final void set(Condition condition, Operand to) {
    instruction(0x0F90 | condition.ordinal(), 1, 0, to, 0);
  }

  /** XADD. */
  public final void xadd(Operand to, Register from) {
    byWidth(0x0FC0, sizeOf(to, from), from, to, 0);
  }

  /** CMPXCHG against the accumulator. */
  public final void cmpxchg(Operand to, Register from) {
    byWidth(0x0FB0, sizeOf(to, from), from, to, 0);
  }

  /** CMPXCHG8B. */
  public final void cmpxchg8b(Memory to) {
    instruction(0x0FC7, 0, 1, to, 0);
  }

  /** CMPXCHG16B. */
  public final void cmpxchg16b(Memory to) {
    instruction(0x0FC7, 8, 1, to, 0);
  }

  // ---- helpers -------------------------------------------------------------------------------

  /** An opcode whose low bit is clear for bytes and set for wider operands. */
  final void byWidth(int opcode, int sizeBytes, Operand reg, Operand rm, int immediateBytes) {
    instruction(opcode | (sizeBytes == 1 ? 0 : 1), sizeBytes, reg, rm, immediateBytes);
  }

  final void byWidthExtension(
      int opcode, int sizeBytes, int extension, Operand rm, int immediateBytes) {
    instruction(opcode | (sizeBytes == 1 ? 0 : 1), sizeBytes, extension, rm, immediateBytes);
  }

  /** An immediate of {@code width} bytes for an operand of {@code size}, which sign-extends it. */
  final void emitSignedImmediate(int size, int width, long value) {
    if (width < size && !isSigned(value, width)) {
      throw new IllegalArgumentException("value=0x%x does not fit signed".formatted(value));
    }
    emitImmediate(width, value);
  }
}
