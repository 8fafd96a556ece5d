package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The part of {@link AluHotOps} that reads memory: a register combined with memory, and CMP of
 * memory with a register or immediate.
 */
final class AluMemoryOps {
  private AluMemoryOps() {}

  /** A specialised operation, or null if the form is not a hot one. */
  static @Nullable MicroOp create(Instruction i, int operation, Operand d, Operand s) {
    if (d.kind == Operand.MEMORY) {
      return switch (operation) {
        case AluOps.CMP -> compareMemory(i, d, s);
        case AluOps.TEST ->
            d.size == 1 && s.kind != Operand.REGISTER8_HIGH
                ? new TestMemory8(i, d.memory, s)
                : null;
        default -> null;
      };
    }
    return switch (d.kind) {
      case Operand.REGISTER64 -> load64(i, operation, d.register, s.memory);
      case Operand.REGISTER32 -> load32(i, operation, d.register, s.memory);
      default -> null;
    };
  }

  private static @Nullable MicroOp compareMemory(Instruction i, Operand d, Operand s) {
    return switch (d.size) {
      case 8 -> new CompareMemory64(i, d.memory, s);
      case 4 -> new CompareMemory32(i, d.memory, s);
      case 1 -> s.kind == Operand.REGISTER8_HIGH ? null : new CompareMemory8(i, d.memory, s);
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

  /** A register destination with a memory source. */
  private abstract static class Load extends MicroOp {
    final byte register;
    final EffectiveAddress memory;

    Load(Instruction i, int register, EffectiveAddress memory) {
      super(i.offset, i.length);
      this.register = (byte) register;
      this.memory = memory;
    }
  }

  /** A memory operand compared with a register or immediate. */
  private abstract static class CompareMemory extends MicroOp {
    final EffectiveAddress memory;
    final byte source;
    final long immediate;

    CompareMemory(Instruction i, EffectiveAddress memory, Operand source) {
      super(i.offset, i.length);
      this.memory = memory;
      this.source = source.register;
      this.immediate = source.value;
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

  static final class CompareMemory8 extends CompareMemory {
    CompareMemory8(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      byte a = (byte) c.load8(memory.linear(c, 1, false));
      if (c.fault != 0) {
        return FAULT;
      }
      byte b = (byte) (c.gpr[source] + immediate);
      c.flags.sub(a, b, (byte) (a - b));
      return NEXT;
    }
  }

  static final class TestMemory8 extends CompareMemory {
    TestMemory8(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      byte a = (byte) c.load8(memory.linear(c, 1, false));
      if (c.fault != 0) {
        return FAULT;
      }
      byte b = (byte) (c.gpr[source] + immediate);
      c.flags.logic((byte) (a & b));
      return NEXT;
    }
  }
}
