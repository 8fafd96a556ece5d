package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** MUL, IMUL, DIV and IDIV. */
final class MultiplyOps {
  private MultiplyOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map == Instruction.MAP_0F) {
      Operand none = Operand.immediate(0, i.operandSize);
      return i.opcode == 0xAF ? new Imul(i, Operand.reg(i, i.operandSize), none) : null;
    }
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    return switch (i.opcode) {
      case 0x69 -> imulImmediate(i, i.immediate(Math.min(4, i.operandSize)));
      case 0x6B -> imulImmediate(i, i.immediate(1));
      case 0xF6, 0xF7 ->
          switch (i.extension()) {
            case 4, 5 -> new Multiply(i);
            case 6, 7 -> new Divide(i);
            default -> null;
          };
      default -> null;
    };
  }

  private static MicroOp imulImmediate(Instruction i, long immediate) {
    return new Imul(i, Operand.rm(i, i.operandSize), Operand.immediate(immediate, i.operandSize));
  }

  /**
   * IMUL with two or three operands: {@code reg = left * right}; the two-operand form multiplies
   * ModRM.reg by ModRM.rm.
   */
  static final class Imul extends MicroOp {
    final Operand destination;
    final Operand left;
    final Operand right;

    Imul(Instruction i, Operand left, Operand immediate) {
      super(i.offset, i.length);
      this.destination = Operand.reg(i, i.operandSize);
      this.left = left;
      this.right = i.opcode == 0xAF ? Operand.rm(i, i.operandSize) : immediate;
    }

    @Override
    int execute(Vcpu c) {
      long a = left.readSigned(c);
      long b = right.readSigned(c);
      if (c.fault != 0) {
        return FAULT;
      }
      long r = a * b;
      int shift = destination.shift;
      long kept = r << shift >> shift;
      boolean lost = destination.size == 8 ? Math.multiplyHigh(a, b) != r >> 63 : kept != r;
      destination.write(c, kept);
      c.flags.result(kept, lost ? Flags.CF | Flags.OF : 0);
      return NEXT;
    }
  }

  /** MUL and IMUL of the accumulator into twice the width. */
  static final class Multiply extends MicroOp {
    final boolean signed;
    final Operand operand;
    final Operand accumulator;
    final Operand high;

    Multiply(Instruction i) {
      super(i.offset, i.length);
      int size = i.opcode == 0xF6 ? 1 : i.operandSize;
      this.signed = i.extension() == 5;
      this.operand = Operand.rm(i, size);
      this.accumulator = Operand.register(i, Vcpu.RAX, size);
      this.high = Operand.register(i, Vcpu.RDX, size);
    }

    @Override
    int execute(Vcpu c) {
      long a = signed ? accumulator.readSigned(c) : accumulator.read(c);
      long b = signed ? operand.readSigned(c) : operand.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      long low = a * b;
      if (operand.size == 8) {
        long top = signed ? Math.multiplyHigh(a, b) : Math.unsignedMultiplyHigh(a, b);
        c.gpr[Vcpu.RAX] = low;
        c.gpr[Vcpu.RDX] = top;
        setFlags(c, low, top != (signed ? low >> 63 : 0));
        return NEXT;
      }
      int shift = operand.shift;
      long kept = signed ? low << shift >> shift : low & -1L >>> shift;
      if (operand.size == 1) {
        c.gpr[Vcpu.RAX] = c.gpr[Vcpu.RAX] & ~0xFFFFL | low & 0xFFFF;
      } else {
        accumulator.write(c, low);
        high.write(c, low >>> 8 * operand.size);
      }
      setFlags(c, low << shift >> shift, kept != low);
      return NEXT;
    }

    private static void setFlags(Vcpu c, long low, boolean lost) {
      c.flags.result(low, lost ? Flags.CF | Flags.OF : 0);
    }
  }

  /** DIV and IDIV; #DE for a divisor of zero or a quotient that does not fit. */
  static final class Divide extends MicroOp {
    final boolean signed;
    final Operand operand;
    final Operand accumulator;
    final Operand high;

    Divide(Instruction i) {
      super(i.offset, i.length);
      int size = i.opcode == 0xF6 ? 1 : i.operandSize;
      this.signed = i.extension() == 7;
      this.operand = Operand.rm(i, size);
      this.accumulator = Operand.register(i, Vcpu.RAX, size);
      this.high = Operand.register(i, Vcpu.RDX, size);
    }

    @Override
    int execute(Vcpu c) {
      long divisor = signed ? operand.readSigned(c) : operand.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      if (divisor == 0) {
        return c.raise(Vector.DE, 0);
      }
      if (operand.size == 8) {
        return divide128(c, divisor);
      }
      int width = 8 * operand.size;
      long dividend =
          operand.size == 1
              ? c.gpr[Vcpu.RAX] & 0xFFFF
              : high.read(c) << width | accumulator.read(c);
      int unused = 64 - 2 * width;
      if (signed) {
        dividend = dividend << unused >> unused;
      }
      long quotient = signed ? dividend / divisor : Long.divideUnsigned(dividend, divisor);
      long remainder = signed ? dividend % divisor : Long.remainderUnsigned(dividend, divisor);
      int shift = operand.shift;
      long fits = signed ? quotient << shift >> shift : quotient & -1L >>> shift;
      if (fits != quotient) {
        return c.raise(Vector.DE, 0);
      }
      if (operand.size == 1) {
        long pair = quotient & 0xFF | (remainder & 0xFF) << 8;
        c.gpr[Vcpu.RAX] = c.gpr[Vcpu.RAX] & ~0xFFFFL | pair;
      } else {
        accumulator.write(c, quotient);
        high.write(c, remainder);
      }
      return NEXT;
    }

    private int divide128(Vcpu c, long divisor) {
      long low = c.gpr[Vcpu.RAX];
      long top = c.gpr[Vcpu.RDX];
      boolean negative = signed && top < 0;
      if (negative) {
        low = -low;
        top = ~top + (low == 0 ? 1 : 0);
      }
      long d = signed ? Math.abs(divisor) : divisor;
      if (Long.compareUnsigned(top, d) >= 0) {
        return c.raise(Vector.DE, 0);
      }
      long q = top == 0 ? Long.divideUnsigned(low, d) : divideUnsigned(top, low, d);
      long r = low - q * d;
      if (signed) {
        boolean opposite = negative != divisor < 0;
        if (opposite ? Long.compareUnsigned(q, 1L << 63) > 0 : q < 0) {
          return c.raise(Vector.DE, 0);
        }
        q = opposite ? -q : q;
        r = negative ? -r : r;
      }
      c.gpr[Vcpu.RAX] = q;
      c.gpr[Vcpu.RDX] = r;
      return NEXT;
    }
  }

  /**
   * The quotient of {@code high:low / divisor}, all unsigned, {@code high < divisor}: schoolbook
   * division by 32-bit digits (Knuth vol. 2, 4.3.1, algorithm D).
   */
  static long divideUnsigned(long high, long low, long divisor) {
    int s = Long.numberOfLeadingZeros(divisor);
    long d = divisor << s;
    long dHigh = d >>> 32;
    long dLow = d & 0xFFFF_FFFFL;
    long top = s == 0 ? high : high << s | low >>> 64 - s;
    long rest = low << s;
    long q1 = digit(top, rest >>> 32, dHigh, dLow);
    long middle = (top << 32 | rest >>> 32) - q1 * d;
    long q0 = digit(middle, rest & 0xFFFF_FFFFL, dHigh, dLow);
    return q1 << 32 | q0;
  }

  /** One 32-bit digit of the quotient, estimated from the leading digits and corrected. */
  private static long digit(long top, long next, long dHigh, long dLow) {
    long q = Long.divideUnsigned(top, dHigh);
    long r = top - q * dHigh;
    while (q >>> 32 != 0 || Long.compareUnsigned(q * dLow, r << 32 | next) > 0) {
      q--;
      r += dHigh;
      if (r >>> 32 != 0) {
        break;
      }
    }
    return q;
  }
}
