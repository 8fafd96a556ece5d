package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** CLC, STC, CMC, CLD, STD, LAHF, SAHF; and outside 64-bit mode the BCD adjustments and BOUND. */
final class FlagOps {
  private FlagOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    return switch (i.opcode) {
      case 0x9E, 0x9F, 0xF5, 0xF8, 0xF9, 0xFC, 0xFD -> new FlagOp(i);
      case 0x27, 0x2F, 0x37, 0x3F -> i.longMode ? null : new Adjust(i, 0);
      case 0xD4, 0xD5 -> i.longMode ? null : new Adjust(i, (int) i.immediate(1) & 0xFF);
      case 0xD6 -> i.longMode ? null : new FlagOp(i);
      case 0x62 -> i.longMode || !i.isMemory() ? null : new Bound(i);
      default -> null;
    };
  }

  /** Operations on single flags, told apart by the opcode. */
  static final class FlagOp extends MicroOp {
    final int opcode;

    FlagOp(Instruction i) {
      super(i.offset, i.length);
      this.opcode = i.opcode;
    }

    /** Bit set of the general registers used. */
    int registers() {
      return opcode == 0x9E || opcode == 0x9F || opcode == 0xD6 ? 1 << Vcpu.RAX : 0;
    }

    /** Whether this is about a status flag: all but CLD and STD. */
    boolean usesStatus() {
      return opcode != 0xFC && opcode != 0xFD;
    }

    @Override
    int execute(Vcpu c) {
      Flags flags = c.flags;
      long rax = c.gpr[Vcpu.RAX];
      switch (opcode) {
        case 0x9E -> flags.setStatus(Flags.STATUS & 0xFF, (int) (rax >>> 8));
        case 0x9F -> c.gpr[Vcpu.RAX] = rax & ~0xFF00L | (flags.status() & 0xFF | 2) << 8;
        case 0xD6 -> c.gpr[Vcpu.RAX] = rax & ~0xFFL | (flags.cf() ? 0xFF : 0); // SALC
        case 0xF5 -> flags.carry(!flags.cf());
        case 0xF8 -> flags.carry(false);
        case 0xF9 -> flags.carry(true);
        case 0xFC -> flags.system &= ~(long) Flags.DF;
        default -> flags.system |= Flags.DF;
      }
      return NEXT;
    }
  }

  /** DAA, DAS, AAA, AAS, AAM and AAD (SDM vol. 2A). */
  static final class Adjust extends MicroOp {
    final int opcode;
    final int base;

    Adjust(Instruction i, int base) {
      super(i.offset, i.length);
      this.opcode = i.opcode;
      this.base = base;
    }

    @Override
    int execute(Vcpu c) {
      int ax = (int) c.gpr[Vcpu.RAX] & 0xFFFF;
      int result;
      switch (opcode) {
        case 0x27 -> result = decimal(c.flags, ax, 1);
        case 0x2F -> result = decimal(c.flags, ax, -1);
        case 0x37 -> result = ascii(c.flags, ax, 1);
        case 0x3F -> result = ascii(c.flags, ax, -1);
        case 0xD4 -> {
          if (base == 0) {
            return c.raise(Vector.DE, 0);
          }
          result = (ax & 0xFF) / base << 8 | (ax & 0xFF) % base;
          c.flags.logic((byte) result);
        }
        default -> {
          result = (ax & 0xFF) + (ax >>> 8) * base & 0xFF;
          c.flags.logic((byte) result);
        }
      }
      c.gpr[Vcpu.RAX] = c.gpr[Vcpu.RAX] & ~0xFFFFL | result;
      return NEXT;
    }

    /** DAA for {@code sign} 1, DAS for -1. */
    private static int decimal(Flags flags, int ax, int sign) {
      int al = ax & 0xFF;
      boolean carry = flags.cf();
      boolean high = al > 0x99 || carry;
      boolean low = (al & 0xF) > 9 || flags.af();
      int adjusted = al;
      if (low) {
        adjusted += sign * 6;
        carry |= adjusted < 0;
      }
      if (high) {
        adjusted += sign * 0x60;
      }
      boolean carryOut = high || sign < 0 && low && carry;
      adjusted &= 0xFF;
      flags.result((byte) adjusted, (carryOut ? Flags.CF : 0) | (low ? Flags.AF : 0));
      return ax & 0xFF00 | adjusted;
    }

    /** AAA for {@code sign} 1, AAS for -1. */
    private static int ascii(Flags flags, int ax, int sign) {
      boolean adjust = (ax & 0xF) > 9 || flags.af();
      int result = adjust ? ax + sign * 0x106 & 0xFFFF : ax;
      int carry = adjust ? Flags.CF | Flags.AF : 0;
      flags.result((byte) result, carry);
      return result & 0xFF0F;
    }
  }

  /** BOUND: #BR where the signed index is outside the pair of bounds in memory. */
  static final class Bound extends MicroOp {
    /** Vector of #BR. */
    private static final int BOUND_RANGE = 5;

    final Operand index;
    final Operand lower;
    final int size;

    Bound(Instruction i) {
      super(i.offset, i.length);
      this.size = i.operandSize;
      this.index = Operand.reg(i, size);
      this.lower = Operand.rm(i, size);
    }

    @Override
    int execute(Vcpu c) {
      int shift = lower.shift;
      long low = lower.readSigned(c);
      long high = c.load(lower.memory.linear(c, size, false, size), size) << shift >> shift;
      if (c.fault != 0) {
        return FAULT;
      }
      long value = index.readSigned(c);
      return value < low || value > high ? c.raise(BOUND_RANGE, 0) : NEXT;
    }
  }
}
