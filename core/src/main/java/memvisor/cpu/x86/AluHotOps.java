package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The ALU operations that make up most of a program, one class per operation and size: a class per
 * form lets HotSpot compile each without a switch.
 *
 * <p>The second operand is {@code gpr[source] + immediate}: one of the two is always zero, so the
 * register and the immediate form are one class. Memory sources are loaded first.
 */
final class AluHotOps {
  private AluHotOps() {}

  /** A specialised operation, or null if the form is not a hot one. */
  static @Nullable MicroOp create(Instruction i, int operation, Operand d, Operand s) {
    if (d.kind == Operand.MEMORY) {
      return operation == AluOps.CMP ? compareMemory(i, d, s) : null;
    }
    if (s.kind == Operand.MEMORY) {
      return switch (d.kind) {
        case Operand.REGISTER64 -> load64(i, operation, d.register, s.memory);
        case Operand.REGISTER32 -> load32(i, operation, d.register, s.memory);
        default -> null;
      };
    }
    return switch (d.kind) {
      case Operand.REGISTER64 -> register64(i, operation, d.register, s);
      case Operand.REGISTER32 -> register32(i, operation, d.register, s);
      default -> null;
    };
  }

  private static @Nullable MicroOp compareMemory(Instruction i, Operand d, Operand s) {
    return switch (d.size) {
      case 8 -> new CompareMemory64(i, d.memory, s);
      case 4 -> new CompareMemory32(i, d.memory, s);
      default -> null;
    };
  }

  private static @Nullable MicroOp register64(
      Instruction i, int operation, int register, Operand s) {
    return switch (operation) {
      case AluOps.ADD -> new Add64(i, register, s);
      case AluOps.SUB -> new Sub64(i, register, s);
      case AluOps.CMP -> new Cmp64(i, register, s);
      case AluOps.AND -> new And64(i, register, s);
      case AluOps.OR -> new Or64(i, register, s);
      case AluOps.XOR -> new Xor64(i, register, s);
      case AluOps.TEST -> new Test64(i, register, s);
      case AluOps.INC -> new Inc64(i, register);
      case AluOps.DEC -> new Dec64(i, register);
      default -> null;
    };
  }

  private static @Nullable MicroOp register32(
      Instruction i, int operation, int register, Operand s) {
    return switch (operation) {
      case AluOps.ADD -> new Add32(i, register, s);
      case AluOps.SUB -> new Sub32(i, register, s);
      case AluOps.CMP -> new Cmp32(i, register, s);
      case AluOps.AND -> new And32(i, register, s);
      case AluOps.OR -> new Or32(i, register, s);
      case AluOps.XOR -> new Xor32(i, register, s);
      case AluOps.TEST -> new Test32(i, register, s);
      case AluOps.INC -> new Inc32(i, register);
      case AluOps.DEC -> new Dec32(i, register);
      default -> null;
    };
  }

  private static @Nullable MicroOp load64(
      Instruction i, int operation, int register, EffectiveAddress memory) {
    return switch (operation) {
      case AluOps.ADD -> new AddLoad64(i, register, memory);
      case AluOps.SUB -> new SubLoad64(i, register, memory);
      case AluOps.CMP -> new CmpLoad64(i, register, memory);
      case AluOps.AND -> new AndLoad64(i, register, memory);
      case AluOps.OR -> new OrLoad64(i, register, memory);
      case AluOps.XOR -> new XorLoad64(i, register, memory);
      default -> null;
    };
  }

  private static @Nullable MicroOp load32(
      Instruction i, int operation, int register, EffectiveAddress memory) {
    return switch (operation) {
      case AluOps.ADD -> new AddLoad32(i, register, memory);
      case AluOps.SUB -> new SubLoad32(i, register, memory);
      case AluOps.CMP -> new CmpLoad32(i, register, memory);
      case AluOps.AND -> new AndLoad32(i, register, memory);
      case AluOps.OR -> new OrLoad32(i, register, memory);
      case AluOps.XOR -> new XorLoad32(i, register, memory);
      default -> null;
    };
  }

  /** A register destination with a register or immediate source. */
  private abstract static class Binary extends MicroOp {
    final int register;
    final int source;
    final long immediate;

    Binary(Instruction i, int register, Operand source) {
      super(i.offset, i.length);
      this.register = register;
      this.source = source.register;
      this.immediate = source.value;
    }
  }

  /** A register destination with a memory source. */
  private abstract static class Load extends MicroOp {
    final int register;
    final EffectiveAddress memory;

    Load(Instruction i, int register, EffectiveAddress memory) {
      super(i.offset, i.length);
      this.register = register;
      this.memory = memory;
    }
  }

  /** A memory operand compared with a register or immediate. */
  private abstract static class CompareMemory extends MicroOp {
    final EffectiveAddress memory;
    final int source;
    final long immediate;

    CompareMemory(Instruction i, EffectiveAddress memory, Operand source) {
      super(i.offset, i.length);
      this.memory = memory;
      this.source = source.register;
      this.immediate = source.value;
    }
  }

  private abstract static class Unary extends MicroOp {
    final int register;

    Unary(Instruction i, int register) {
      super(i.offset, i.length);
      this.register = register;
    }
  }

  static final class Add64 extends Binary {
    Add64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a + b;
      gpr[register] = r;
      c.flags.add(a, b, r);
      return NEXT;
    }
  }

  static final class Sub64 extends Binary {
    Sub64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a - b;
      gpr[register] = r;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class Cmp64 extends Binary {
    Cmp64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a - b;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class And64 extends Binary {
    And64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a & b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Or64 extends Binary {
    Or64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a | b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Xor64 extends Binary {
    Xor64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a ^ b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Test64 extends Binary {
    Test64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long b = gpr[source] + immediate;
      long r = a & b;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class AddLoad64 extends Load {
    AddLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a + b;
      gpr[register] = r;
      c.flags.add(a, b, r);
      return NEXT;
    }
  }

  static final class SubLoad64 extends Load {
    SubLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a - b;
      gpr[register] = r;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class CmpLoad64 extends Load {
    CmpLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a - b;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class AndLoad64 extends Load {
    AndLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a & b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class OrLoad64 extends Load {
    OrLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a | b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class XorLoad64 extends Load {
    XorLoad64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long b = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long a = gpr[register];
      long r = a ^ b;
      gpr[register] = r;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Inc64 extends Unary {
    Inc64(Instruction i, int register) {
      super(i, register);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long r = a + 1;
      gpr[register] = r;
      c.flags.inc(a, r);
      return NEXT;
    }
  }

  static final class Dec64 extends Unary {
    Dec64(Instruction i, int register) {
      super(i, register);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long a = gpr[register];
      long r = a - 1;
      gpr[register] = r;
      c.flags.dec(a, r);
      return NEXT;
    }
  }

  static final class CompareMemory64 extends CompareMemory {
    CompareMemory64(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      long a = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      long b = c.gpr[source] + immediate;
      c.flags.sub(a, b, a - b);
      return NEXT;
    }
  }

  static final class Add32 extends Binary {
    Add32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a + b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.add(a, b, r);
      return NEXT;
    }
  }

  static final class Sub32 extends Binary {
    Sub32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a - b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class Cmp32 extends Binary {
    Cmp32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a - b;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class And32 extends Binary {
    And32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a & b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Or32 extends Binary {
    Or32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a | b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Xor32 extends Binary {
    Xor32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a ^ b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Test32 extends Binary {
    Test32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int b = (int) (gpr[source] + immediate);
      int r = a & b;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class AddLoad32 extends Load {
    AddLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a + b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.add(a, b, r);
      return NEXT;
    }
  }

  static final class SubLoad32 extends Load {
    SubLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a - b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class CmpLoad32 extends Load {
    CmpLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a - b;
      c.flags.sub(a, b, r);
      return NEXT;
    }
  }

  static final class AndLoad32 extends Load {
    AndLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a & b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class OrLoad32 extends Load {
    OrLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a | b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class XorLoad32 extends Load {
    XorLoad32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int b = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int a = (int) gpr[register];
      int r = a ^ b;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.logic(r);
      return NEXT;
    }
  }

  static final class Inc32 extends Unary {
    Inc32(Instruction i, int register) {
      super(i, register);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int r = a + 1;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.inc(a, r);
      return NEXT;
    }
  }

  static final class Dec32 extends Unary {
    Dec32(Instruction i, int register) {
      super(i, register);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      int a = (int) gpr[register];
      int r = a - 1;
      gpr[register] = r & 0xFFFF_FFFFL;
      c.flags.dec(a, r);
      return NEXT;
    }
  }

  static final class CompareMemory32 extends CompareMemory {
    CompareMemory32(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      int a = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      int b = (int) (c.gpr[source] + immediate);
      c.flags.sub(a, b, a - b);
      return NEXT;
    }
  }
}
