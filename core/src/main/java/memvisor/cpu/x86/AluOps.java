package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NOT and NEG in all their forms. */
final class AluOps {
  /** Numbers as in the opcode and in ModRM.reg of group 1. */
  static final int ADD = 0;

  static final int OR = 1;
  static final int ADC = 2;
  static final int SBB = 3;
  static final int AND = 4;
  static final int SUB = 5;
  static final int XOR = 6;
  static final int CMP = 7;

  /** Numbers of our own. */
  static final int TEST = 8;

  static final int INC = 9;
  static final int DEC = 10;
  static final int NOT = 11;
  static final int NEG = 12;

  private AluOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize;
    if (i.opcode < 0x40 && (i.opcode & 7) < 6) {
      return arithmetic(i, i.opcode >>> 3, size);
    }
    return switch (i.opcode) {
      case 0x80, 0x81 -> group1(i, size, i.immediate(Math.min(size, 4)));
      case 0x82 -> i.longMode ? null : group1(i, 1, i.immediate(1));
      case 0x83 -> group1(i, size, i.immediate(1));
      case 0x84, 0x85 -> alu(i, TEST, Operand.rm(i, size), Operand.reg(i, size));
      case 0xA8, 0xA9 -> accumulator(i, TEST, size);
      case 0xF6, 0xF7 -> group3(i, size);
      case 0xFE, 0xFF -> incDec(i, Operand.rm(i, size), i.extension());
      default ->
          i.opcode >= 0x40 && i.opcode < 0x50 && !i.longMode
              ? incDec(i, Operand.register(i, i.opcode & 7, i.operandSize), i.opcode >>> 3 & 1)
              : null;
    };
  }

  private static MicroOp arithmetic(Instruction i, int operation, int size) {
    return switch (i.opcode & 7) {
      case 0, 1 -> alu(i, operation, Operand.rm(i, size), Operand.reg(i, size));
      case 2, 3 -> alu(i, operation, Operand.reg(i, size), Operand.rm(i, size));
      default -> accumulator(i, operation, size);
    };
  }

  private static MicroOp group1(Instruction i, int size, long immediate) {
    return alu(i, i.extension(), Operand.rm(i, size), Operand.immediate(immediate, size));
  }

  private static MicroOp accumulator(Instruction i, int operation, int size) {
    long immediate = i.immediate(Math.min(size, 4));
    Operand accumulator = Operand.register(i, Vcpu.RAX, size);
    return alu(i, operation, accumulator, Operand.immediate(immediate, size));
  }

  private static @Nullable MicroOp group3(Instruction i, int size) {
    Operand operand = Operand.rm(i, size);
    return switch (i.extension()) {
      case 0, 1 -> {
        long immediate = i.immediate(Math.min(size, 4));
        yield alu(i, TEST, operand, Operand.immediate(immediate, size));
      }
      case 2 -> unary(i, NOT, operand);
      case 3 -> unary(i, NEG, operand);
      default -> null;
    };
  }

  private static @Nullable MicroOp incDec(Instruction i, Operand operand, int extension) {
    return switch (extension) {
      case 0 -> unary(i, INC, operand);
      case 1 -> unary(i, DEC, operand);
      default -> null;
    };
  }

  private static MicroOp unary(Instruction i, int operation, Operand operand) {
    return alu(i, operation, operand, Operand.immediate(1, operand.size));
  }

  private static MicroOp alu(Instruction i, int operation, Operand destination, Operand source) {
    if (i.lock) {
      return new AtomicOps.LockedAlu(i, operation, destination, source);
    }
    MicroOp hot = AluHotOps.create(i, operation, destination, source);
    return hot == null ? new Alu(i, operation, destination, source) : hot;
  }

  /** {@code destination = destination OP source} for any operand forms and sizes. */
  static final class Alu extends MicroOp {
    final int operation;
    final Operand destination;
    final Operand source;

    Alu(Instruction i, int operation, Operand destination, Operand source) {
      super(i.offset, i.length);
      this.operation = operation;
      this.destination = destination;
      this.source = source;
    }

    @Override
    int execute(Vcpu c) {
      boolean writes = operation != CMP && operation != TEST;
      long a = writes ? destination.readForWrite(c) : destination.read(c);
      long b = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      int shift = destination.shift;
      a = a << shift >> shift;
      b = b << shift >> shift;
      long r = compute(operation, a, b, carry(c.flags, operation)) << shift >> shift;
      if (writes) {
        destination.write(c, r);
        if (c.fault != 0) {
          return FAULT;
        }
      }
      setFlags(c.flags, operation, a, b, r);
      return NEXT;
    }
  }

  /** The carry that goes into an ADC or SBB, else 0. */
  static int carry(Flags flags, int operation) {
    return (operation == ADC || operation == SBB) && flags.cf() ? 1 : 0;
  }

  static long compute(int operation, long a, long b, int carry) {
    return switch (operation) {
      case ADD, INC -> a + b;
      case OR -> a | b;
      case ADC -> a + b + carry;
      case SBB -> a - b - carry;
      case AND, TEST -> a & b;
      case SUB, CMP, DEC -> a - b;
      case XOR -> a ^ b;
      case NOT -> ~a;
      default -> -a;
    };
  }

  /** Leaves the flags of an operation; operands and result are sign-extended. */
  static void setFlags(Flags flags, int operation, long a, long b, long r) {
    switch (operation) {
      case ADD, ADC -> flags.add(a, b, r);
      case SUB, CMP -> flags.sub(a, b, r);
      case SBB -> flags.sbb(a, b, r);
      case OR, AND, XOR, TEST -> flags.logic(r);
      case INC -> flags.inc(a, r);
      case DEC -> flags.dec(a, r);
      case NEG -> flags.sub(0, a, r);
      default -> {
        // NOT changes no flag
      }
    }
  }
}
