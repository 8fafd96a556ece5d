package memvisor.cpu.x86;

/**
 * One opcode with what a random test must know to make instructions of it that do not fault.
 *
 * @param name what to call it
 * @param opcode mandatory prefix in bits 24–31, opcode bytes with escapes below
 * @param reg what ModRM.reg names, or 0–7 for an opcode extension, or one of the constants
 * @param rm what ModRM.rm may name
 * @param width operand sizes: see the constants
 * @param immediateBytes 0, 1, or 4 for the operand size
 * @param undefinedFlags status flags that the manual leaves undefined
 * @param trait what else to respect
 */
record InstructionForm(
    String name,
    int opcode,
    int reg,
    int rm,
    int width,
    int immediateBytes,
    int undefinedFlags,
    Trait trait) {
  /** A general register or an XMM register in ModRM.reg; no ModRM at all. */
  static final int GENERAL = -1;

  static final int XMM = -2;
  static final int NO_MODRM = -3;

  /** ModRM.rm: registers of a kind, memory, or both. */
  static final int GENERAL_OR_MEMORY = 0;

  static final int XMM_OR_MEMORY = 1;
  static final int MEMORY_ONLY = 2;
  static final int GENERAL_ONLY = 3;
  static final int XMM_ONLY = 4;

  /** One byte; 2, 4 or 8; 4 or 8 by REX.W; fixed by the opcode. */
  static final int BYTE = 0;

  static final int VARIABLE = 1;
  static final int WIDE = 2;
  static final int FIXED = 3;

  /** What the operands must respect. */
  enum Trait {
    PLAIN,
    /** Memory operands must be 16-byte aligned. */
    ALIGNED,
    /** The bit offset in ModRM.reg must stay in the page. */
    BIT_OFFSET,
    /** DIV and IDIV must not overflow. */
    DIVIDES,
    /** RSI, RDI and RCX must stay in the page. */
    STRING,
    /** The x87 stack, control and status words matter. */
    X87
  }

  static InstructionForm integer(
      String name, int opcode, int reg, int rm, int width, int imm, int undefined) {
    return new InstructionForm(name, opcode, reg, rm, width, imm, undefined, Trait.PLAIN);
  }

  static InstructionForm sse(int opcode) {
    return new InstructionForm("sse", opcode, XMM, XMM_OR_MEMORY, FIXED, 0, 0, Trait.ALIGNED);
  }

  InstructionForm with(Trait newTrait) {
    return new InstructionForm(
        name, opcode, reg, rm, width, immediateBytes, undefinedFlags, newTrait);
  }

  InstructionForm withImmediate() {
    return new InstructionForm(name, opcode, reg, rm, width, 1, undefinedFlags, trait);
  }

  InstructionForm operands(int newReg, int newRm, int newWidth) {
    return new InstructionForm(
        name, opcode, newReg, newRm, newWidth, immediateBytes, undefinedFlags, trait);
  }

  @Override
  public String toString() {
    return "%s %08x reg=%d rm=%d".formatted(name, opcode, reg, rm);
  }
}
