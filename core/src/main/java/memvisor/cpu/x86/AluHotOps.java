package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The ALU operations that make up most of a program, one class per operation and size: a class per
 * form lets HotSpot compile each without a switch.
 *
 * <p>The second operand is {@code gpr[source] + immediate}: one of the two is always zero, so the
 * register and the immediate form are one class. Forms with memory are in {@link AluMemoryOps}.
 */
final class AluHotOps {
  private AluHotOps() {}

  /** A specialised operation, or null if the form is not a hot one. */
  static @Nullable MicroOp create(Instruction i, int operation, Operand d, Operand s) {
    if (d.kind == Operand.MEMORY || s.kind == Operand.MEMORY) {
      return AluMemoryOps.create(i, operation, d, s);
    }
    return switch (d.kind) {
      case Operand.REGISTER64 -> register64(i, operation, d.register, s);
      case Operand.REGISTER32 -> register32(i, operation, d.register, s);
      case Operand.REGISTER8 -> register8(i, operation, d.register, s);
      default -> null;
    };
  }

  /** Bytes are mostly tested and compared. */
  private static @Nullable MicroOp register8(
      Instruction i, int operation, int register, Operand s) {
    if (s.kind == Operand.REGISTER8_HIGH) {
      return null;
    }
    return switch (operation) {
      case AluOps.CMP -> new Cmp8(i, register, s);
      case AluOps.TEST -> new Test8(i, register, s);
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

  /** A register destination with a register or immediate source. */
  private abstract static class Binary extends MicroOp {
    final byte register;
    final byte source;
    final long immediate;

    Binary(Instruction i, int register, Operand source) {
      super(i.offset, i.length);
      this.register = (byte) register;
      this.source = source.register;
      this.immediate = source.value;
    }
  }

  /** INC or DEC of a register. */
  private abstract static class Unary extends MicroOp {
    final byte register;

    Unary(Instruction i, int register) {
      super(i.offset, i.length);
      this.register = (byte) register;
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

  static final class Cmp8 extends Binary {
    Cmp8(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      byte a = (byte) c.gpr[register];
      byte b = (byte) (c.gpr[source] + immediate);
      c.flags.sub(a, b, (byte) (a - b));
      return NEXT;
    }
  }

  static final class Test8 extends Binary {
    Test8(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      byte a = (byte) c.gpr[register];
      byte b = (byte) (c.gpr[source] + immediate);
      c.flags.logic((byte) (a & b));
      return NEXT;
    }
  }
}
