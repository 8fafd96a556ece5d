package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * An operation of the system group: operands as data, and the function that performs it. These are
 * too rare to deserve a class each.
 */
final class SystemOp extends MicroOp {
  /** What an operation does; returns a {@link MicroOp} outcome. */
  @FunctionalInterface
  interface Action {
    int perform(Vcpu c, SystemOp op);
  }

  private static final int UNKNOWN = -1;

  private final Action action;

  /** Whether the next instruction is decoded only when it is reached. */
  private final boolean last;

  final int opcode;

  /** ModRM.reg, or the opcode's register. */
  final int reg;

  /** ModRM.rm of a register form. */
  final int rm;

  /** Operand size in bytes: 2, 4 or 8. */
  final int size;

  /** Operand size of stack operations in bytes: 2, 4 or 8. */
  final int stackSize;

  /** Address size in bytes: 2, 4 or 8. */
  final int addressSize;

  /** Repeat prefix F2 or F3. */
  final boolean repeat;

  /** Segment of a string source. */
  final int segment;

  final long immediate;

  /**
   * Bit sets of the general registers read and written, if known; else -1. Of status flags none.
   */
  final int reads;

  final int writes;

  private final @Nullable EffectiveAddress memory;

  SystemOp(Instruction i, Action action, long immediate, boolean last) {
    this(i, action, immediate, last, UNKNOWN, UNKNOWN);
  }

  /** As told {@code reads} and {@code writes} at most, and neither status flags nor paging. */
  SystemOp(Instruction i, Action action, boolean last, int reads, int writes) {
    this(i, action, 0, last, reads, writes);
  }

  private SystemOp(
      Instruction i, Action action, long immediate, boolean last, int reads, int writes) {
    super(i.offset, i.length);
    this.reads = reads;
    this.writes = writes;
    this.last = last;
    this.action = action;
    this.opcode = i.opcode;
    this.reg = i.reg;
    this.rm = i.rm;
    this.size = i.operandSize;
    this.stackSize = i.stackOperandSize;
    this.addressSize = i.addressSize;
    this.repeat = i.prefix >= Instruction.PREFIX_F3;
    this.segment = i.segmentOverride >= 0 ? i.segmentOverride : Vcpu.DS;
    this.immediate = immediate;
    this.memory = i.memory;
  }

  @Override
  boolean endsBlock() {
    return last;
  }

  @Override
  int execute(Vcpu c) {
    return action.perform(c, this);
  }

  boolean isMemory() {
    return memory != null;
  }

  /** The memory operand; only of a memory form. */
  EffectiveAddress address() {
    EffectiveAddress address = memory;
    if (address == null) {
      throw new IllegalStateException("register form: offset=%d".formatted(offset));
    }
    return address;
  }

  /** Linear address of the memory operand; a fault may be pending. */
  long linear(Vcpu c, int sizeBytes, boolean write) {
    return address().linear(c, sizeBytes, write);
  }

  /** Reads ModRM.rm, a 16-bit value in memory or a register. */
  int readWord(Vcpu c) {
    return isMemory() ? (int) c.load16(linear(c, 2, false)) : (int) c.gpr[rm] & 0xFFFF;
  }

  /** Writes a register at the operand size: 16 bits merge, 32 bits zero-extend. */
  static void writeRegister(Vcpu c, int register, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> c.gpr[register] = c.gpr[register] & ~0xFFL | value & 0xFF;
      case 2 -> c.gpr[register] = c.gpr[register] & ~0xFFFFL | value & 0xFFFF;
      case 4 -> c.gpr[register] = value & 0xFFFF_FFFFL;
      default -> c.gpr[register] = value;
    }
  }

  /**
   * Writes ModRM.rm from a 16-bit system value: memory gets 16 bits, a register the operand size
   * (SLDT, STR, SMSW, MOV from a segment register).
   */
  int writeWord(Vcpu c, long value) {
    if (!isMemory()) {
      writeRegister(c, rm, size, value);
      return NEXT;
    }
    long gva = linear(c, 2, true);
    c.store16(gva, value);
    return c.fault == 0 ? NEXT : FAULT;
  }

  /** RIP of the next instruction. */
  long nextRip(Vcpu c) {
    long rip = c.gpr[Vcpu.BLOCK] + offset + length;
    return c.longMode ? rip : rip & 0xFFFF_FFFFL;
  }
}
