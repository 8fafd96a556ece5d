package memvisor.cpu.x86;

/**
 * A register, immediate or memory operand of 1, 2, 4 or 8 bytes, for operations that are not hot
 * enough to deserve a class per form.
 *
 * <p>A memory access may leave a fault pending in the vCPU; the caller tests it.
 */
final class Operand {
  static final int REGISTER64 = 0;
  static final int REGISTER32 = 1;
  static final int REGISTER16 = 2;
  static final int REGISTER8 = 3;

  /** AH, CH, DH or BH; {@link #register} is the register that holds it. */
  static final int REGISTER8_HIGH = 4;

  static final int IMMEDIATE = 5;
  static final int MEMORY = 6;

  private static final EffectiveAddress NOWHERE =
      new EffectiveAddress(Vcpu.ZERO, Vcpu.ZERO, 0, 0, Vcpu.DS, -1L, false);

  /** Register operands by kind and number: operations have them in common. */
  private static final Operand[][] REGISTERS = registers();

  final byte kind;
  final byte size;

  /** 64 minus the operand's width in bits. */
  final byte shift;

  final byte register;
  final long value;
  final EffectiveAddress memory;

  private Operand(int kind, int size, int register, long value, EffectiveAddress memory) {
    this.kind = (byte) kind;
    this.size = (byte) size;
    this.shift = (byte) (64 - 8 * size);
    this.register = (byte) register;
    this.value = value;
    this.memory = memory;
  }

  private static Operand[][] registers() {
    int[] sizes = {8, 4, 2, 1, 1};
    Operand[][] operands = new Operand[sizes.length][16];
    for (int kind = 0; kind < sizes.length; kind++) {
      for (int number = 0; number < 16; number++) {
        operands[kind][number] = new Operand(kind, sizes[kind], number, 0, NOWHERE);
      }
    }
    return operands;
  }

  /** General register {@code number}; without REX, 8-bit registers 4 to 7 are AH to BH. */
  static Operand register(Instruction i, int number, int size) {
    return switch (size) {
      case 8 -> REGISTERS[REGISTER64][number];
      case 4 -> REGISTERS[REGISTER32][number];
      case 2 -> REGISTERS[REGISTER16][number];
      default ->
          i.rex == 0 && number >= 4
              ? REGISTERS[REGISTER8_HIGH][number - 4]
              : REGISTERS[REGISTER8][number];
    };
  }

  static Operand immediate(long value, int size) {
    return new Operand(IMMEDIATE, size, Vcpu.ZERO, value, NOWHERE);
  }

  static Operand memory(EffectiveAddress address, int size) {
    return new Operand(MEMORY, size, Vcpu.ZERO, 0, address);
  }

  /** What ModRM.rm names. */
  static Operand rm(Instruction i, int size) {
    return i.isMemory() ? memory(i.address(), size) : register(i, i.rm, size);
  }

  /** What ModRM.reg names. */
  static Operand reg(Instruction i, int size) {
    return register(i, i.reg, size);
  }

  boolean isMemory() {
    return kind == MEMORY;
  }

  /** The value, zero-extended (an immediate stays sign-extended). */
  long read(Vcpu c) {
    return switch (kind) {
      case REGISTER64 -> c.gpr[register];
      case REGISTER32 -> c.gpr[register] & 0xFFFF_FFFFL;
      case REGISTER16 -> c.gpr[register] & 0xFFFF;
      case REGISTER8 -> c.gpr[register] & 0xFF;
      case REGISTER8_HIGH -> c.gpr[register] >>> 8 & 0xFF;
      case IMMEDIATE -> value;
      default -> c.load(memory.linear(c, size, false), size);
    };
  }

  /** The value, sign-extended. */
  long readSigned(Vcpu c) {
    return read(c) << shift >> shift;
  }

  /** As {@link #read}, but memory that may not be written faults now. */
  long readForWrite(Vcpu c) {
    return kind == MEMORY ? c.loadForWrite(memory.linear(c, size, true), size) : read(c);
  }

  /** Writes the low {@link #size} bytes; a 32-bit register is zero-extended to 64 bits. */
  void write(Vcpu c, long v) {
    switch (kind) {
      case REGISTER64 -> c.gpr[register] = v;
      case REGISTER32 -> c.gpr[register] = v & 0xFFFF_FFFFL;
      case REGISTER16 -> c.gpr[register] = c.gpr[register] & ~0xFFFFL | v & 0xFFFF;
      case REGISTER8 -> c.gpr[register] = c.gpr[register] & ~0xFFL | v & 0xFF;
      case REGISTER8_HIGH -> c.gpr[register] = c.gpr[register] & ~0xFF00L | (v & 0xFF) << 8;
      default -> c.store(memory.linear(c, size, true), size, v);
    }
  }
}
