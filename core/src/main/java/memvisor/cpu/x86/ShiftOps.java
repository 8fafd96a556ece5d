package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD and SHRD. */
final class ShiftOps {
  /** Numbers as in ModRM.reg of group 2; 6 is an alias of SHL. */
  static final int ROL = 0;

  static final int ROR = 1;
  static final int RCL = 2;
  static final int RCR = 3;
  static final int SHL = 4;
  static final int SHR = 5;
  static final int SAR = 7;

  private ShiftOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map == Instruction.MAP_0F) {
      return switch (i.opcode) {
        case 0xA4, 0xAC -> new DoubleShift(i, Operand.immediate(i.immediate(1), 1));
        case 0xA5, 0xAD -> new DoubleShift(i, count(i));
        default -> null;
      };
    }
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize;
    return switch (i.opcode) {
      case 0xC0, 0xC1 -> shift(i, size, Operand.immediate(i.immediate(1), 1));
      case 0xD0, 0xD1 -> shift(i, size, Operand.immediate(1, 1));
      case 0xD2, 0xD3 -> shift(i, size, count(i));
      default -> null;
    };
  }

  private static Operand count(Instruction i) {
    return Operand.register(i, Vcpu.RCX, 1);
  }

  private static MicroOp shift(Instruction i, int size, Operand count) {
    int operation = i.extension() == 6 ? SHL : i.extension();
    Operand destination = Operand.rm(i, size);
    if (count.kind == Operand.IMMEDIATE && operation >= SHL) {
      int amount = (int) count.value & (size == 8 ? 63 : 31);
      if (amount != 0 && destination.kind == Operand.REGISTER64) {
        return new Shift64(i, operation, destination.register, amount);
      }
      if (amount != 0 && destination.kind == Operand.REGISTER32) {
        return new Shift32(i, operation, destination.register, amount);
      }
    }
    return operation >= SHL
        ? new Shift(i, operation, destination, count)
        : new Rotate(i, operation, destination, count);
  }

  /** CF and OF as an image. */
  private static int carryOverflow(boolean carry, boolean overflow) {
    return (carry ? Flags.CF : 0) | (overflow ? Flags.OF : 0);
  }

  /** SHL, SHR or SAR of a 64-bit register by a constant that is not zero. */
  static final class Shift64 extends MicroOp {
    final int operation;
    final int register;
    final int amount;

    Shift64(Instruction i, int operation, int register, int amount) {
      super(i.offset, i.length);
      this.operation = operation;
      this.register = register;
      this.amount = amount;
    }

    @Override
    int execute(Vcpu c) {
      long a = c.gpr[register];
      long r;
      boolean carry;
      boolean overflow;
      if (operation == SHL) {
        r = a << amount;
        carry = a << amount - 1 < 0;
        overflow = carry != r < 0;
      } else {
        boolean signed = operation == SAR;
        r = signed ? a >> amount : a >>> amount;
        carry = (a >>> amount - 1 & 1) != 0;
        overflow = !signed && a < 0;
      }
      c.gpr[register] = r;
      c.flags.result(r, carryOverflow(carry, overflow));
      return NEXT;
    }
  }

  /** As {@link Shift64} for 32 bits. */
  static final class Shift32 extends MicroOp {
    final int operation;
    final int register;
    final int amount;

    Shift32(Instruction i, int operation, int register, int amount) {
      super(i.offset, i.length);
      this.operation = operation;
      this.register = register;
      this.amount = amount;
    }

    @Override
    int execute(Vcpu c) {
      int a = (int) c.gpr[register];
      int r;
      boolean carry;
      boolean overflow;
      if (operation == SHL) {
        r = a << amount;
        carry = a << amount - 1 < 0;
        overflow = carry != r < 0;
      } else {
        boolean signed = operation == SAR;
        r = signed ? a >> amount : a >>> amount;
        carry = (a >>> amount - 1 & 1) != 0;
        overflow = !signed && a < 0;
      }
      c.gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.result(r, carryOverflow(carry, overflow));
      return NEXT;
    }
  }

  /** SHL, SHR and SAR in general. A count of zero changes no flag. */
  static final class Shift extends MicroOp {
    final int operation;
    final Operand destination;
    final Operand count;

    Shift(Instruction i, int operation, Operand destination, Operand count) {
      super(i.offset, i.length);
      this.operation = operation;
      this.destination = destination;
      this.count = count;
    }

    @Override
    int execute(Vcpu c) {
      long a = destination.readForWrite(c);
      if (c.fault != 0) {
        return FAULT;
      }
      int width = 8 * destination.size;
      int shift = destination.shift;
      int n = (int) count.read(c) & (width == 64 ? 63 : 31);
      long signed = a << shift >> shift;
      long r =
          switch (operation) {
            case SHL -> a << n;
            case SHR -> a >>> n;
            default -> signed >> n;
          };
      destination.write(c, r);
      if (c.fault != 0) {
        return FAULT;
      }
      if (n != 0) {
        r = r << shift >> shift;
        c.flags.result(r, status(a, signed, r, n, width));
      }
      return NEXT;
    }

    private int status(long a, long signed, long r, int n, int width) {
      return switch (operation) {
        case SHL -> {
          boolean carry = n <= width && (a >>> width - n & 1) != 0;
          yield carryOverflow(carry, carry != r < 0);
        }
        case SHR -> carryOverflow((a >>> n - 1 & 1) != 0, signed < 0);
        default -> carryOverflow((signed >> n - 1 & 1) != 0, false);
      };
    }
  }

  /** ROL, ROR, RCL and RCR: only CF and OF change, and only if the masked count is not zero. */
  static final class Rotate extends MicroOp {
    final int operation;
    final Operand destination;
    final Operand count;

    Rotate(Instruction i, int operation, Operand destination, Operand count) {
      super(i.offset, i.length);
      this.operation = operation;
      this.destination = destination;
      this.count = count;
    }

    @Override
    int execute(Vcpu c) {
      long a = destination.readForWrite(c);
      if (c.fault != 0) {
        return FAULT;
      }
      int width = 8 * destination.size;
      int n = (int) count.read(c) & (width == 64 ? 63 : 31);
      boolean carry = c.flags.cf();
      long r =
          switch (operation) {
            case ROL -> rotate(a, n, width);
            case ROR -> rotate(a, width - n % width, width);
            case RCL -> throughCarry(a, carry, n % (width + 1), width);
            default -> throughCarry(a, carry, width + 1 - n % (width + 1), width);
          };
      boolean carryOut = carryOut(a, r, n, width, carry);
      destination.write(c, r);
      if (c.fault != 0) {
        return FAULT;
      }
      if (n != 0) {
        boolean top = (r >>> width - 1 & 1) != 0;
        boolean second = (r >>> width - 2 & 1) != 0;
        boolean left = operation == ROL || operation == RCL;
        c.flags.carryOverflow(carryOverflow(carryOut, top != (left ? carryOut : second)));
      }
      return NEXT;
    }

    private boolean carryOut(long a, long r, int n, int width, boolean carry) {
      int turns = n % (width + 1);
      return switch (operation) {
        case ROL -> (r & 1) != 0;
        case ROR -> (r >>> width - 1 & 1) != 0;
        case RCL -> turns == 0 ? carry : (a >>> width - turns & 1) != 0;
        default -> turns == 0 ? carry : (a >>> turns - 1 & 1) != 0;
      };
    }

    private static long rotate(long a, int n, int width) {
      int left = n % width;
      return left == 0 ? a : a << left | a >>> width - left;
    }

    /** Rotates {@code width + 1} bits, the carry on top, left by {@code n}. */
    private static long throughCarry(long a, boolean carry, int n, int width) {
      int left = n % (width + 1);
      if (left == 0) {
        return a;
      }
      long in = carry ? 1L << left - 1 : 0;
      long high = left == width ? 0 : a << left;
      long low = left == 1 ? 0 : a >>> width + 1 - left;
      return high | in | low;
    }
  }

  /** SHLD and SHRD. */
  static final class DoubleShift extends MicroOp {
    final boolean left;
    final Operand destination;
    final Operand source;
    final Operand count;

    DoubleShift(Instruction i, Operand count) {
      super(i.offset, i.length);
      this.left = i.opcode < 0xA8;
      this.destination = Operand.rm(i, i.operandSize);
      this.source = Operand.reg(i, i.operandSize);
      this.count = count;
    }

    @Override
    int execute(Vcpu c) {
      long a = destination.readForWrite(c);
      if (c.fault != 0) {
        return FAULT;
      }
      long b = source.read(c);
      int width = 8 * destination.size;
      int shift = destination.shift;
      int n = (int) count.read(c) & (width == 64 ? 63 : 31);
      if (n > width) {
        n -= width; // undefined for 16 bits; the shifted-in bits go round
      }
      long r = n == 0 ? a : left ? a << n | b >>> width - n : a >>> n | b << width - n;
      destination.write(c, r);
      if (c.fault != 0) {
        return FAULT;
      }
      if (n != 0) {
        boolean carry = (a >>> (left ? width - n : n - 1) & 1) != 0;
        boolean overflow = ((a ^ r) >>> width - 1 & 1) != 0;
        c.flags.result(r << shift >> shift, carryOverflow(carry, overflow));
      }
      return NEXT;
    }
  }
}
