package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * The moves that make up most of a program, one class per form. A register or immediate source is
 * {@code gpr[source] + immediate}: one of the two is always zero.
 */
final class MoveHotOps {
  private MoveHotOps() {}

  /** A specialised operation, or null if the form is not a hot one. */
  static @Nullable MicroOp create(Instruction i, Operand destination, Operand source) {
    if (source.kind == Operand.MEMORY) {
      return switch (destination.kind) {
        case Operand.REGISTER64 -> new Load64(i, destination.register, source.memory);
        case Operand.REGISTER32 -> new Load32(i, destination.register, source.memory);
        default -> null;
      };
    }
    boolean plain = source.kind <= Operand.REGISTER8 || source.kind == Operand.IMMEDIATE;
    if (destination.kind == Operand.MEMORY && plain) {
      return switch (destination.size) {
        case 8 -> new Store64(i, destination.memory, source);
        case 4 -> new Store32(i, destination.memory, source);
        case 1 -> new Store8(i, destination.memory, source);
        default -> null;
      };
    }
    return switch (destination.kind) {
      case Operand.REGISTER64 -> new Move64(i, destination.register, source);
      case Operand.REGISTER32 -> new Move32(i, destination.register, source);
      default -> null;
    };
  }

  private abstract static class RegisterMove extends MicroOp {
    final byte register;
    final byte source;
    final long immediate;

    RegisterMove(Instruction i, int register, Operand source) {
      super(i.offset, i.length);
      this.register = (byte) register;
      this.source = source.register;
      this.immediate = source.value;
    }
  }

  static final class Move64 extends RegisterMove {
    Move64(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      c.gpr[register] = c.gpr[source] + immediate;
      return NEXT;
    }
  }

  static final class Move32 extends RegisterMove {
    Move32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      c.gpr[register] = c.gpr[source] + immediate & 0xFFFF_FFFFL;
      return NEXT;
    }
  }

  /** MOVSXD between registers. */
  static final class SignExtend32 extends RegisterMove {
    SignExtend32(Instruction i, int register, Operand source) {
      super(i, register, source);
    }

    @Override
    int execute(Vcpu c) {
      c.gpr[register] = (int) c.gpr[source];
      return NEXT;
    }
  }

  private abstract static class LoadRegister extends MicroOp {
    final byte register;
    final EffectiveAddress memory;

    LoadRegister(Instruction i, int register, EffectiveAddress memory) {
      super(i.offset, i.length);
      this.register = (byte) register;
      this.memory = memory;
    }
  }

  static final class Load64 extends LoadRegister {
    Load64(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long value = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.gpr[register] = value;
      return NEXT;
    }
  }

  static final class Load32 extends LoadRegister {
    Load32(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long value = c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.gpr[register] = value;
      return NEXT;
    }
  }

  static final class LoadZero16 extends LoadRegister {
    LoadZero16(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long value = c.load16(memory.linear(c, 2, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.gpr[register] = value;
      return NEXT;
    }
  }

  static final class LoadZero8 extends LoadRegister {
    LoadZero8(Instruction i, int register, EffectiveAddress memory) {
      super(i, register, memory);
    }

    @Override
    int execute(Vcpu c) {
      long value = c.load8(memory.linear(c, 1, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.gpr[register] = value;
      return NEXT;
    }
  }

  private abstract static class StoreRegister extends MicroOp {
    final EffectiveAddress memory;
    final byte source;
    final long immediate;

    StoreRegister(Instruction i, EffectiveAddress memory, Operand source) {
      super(i.offset, i.length);
      this.memory = memory;
      this.source = source.register;
      this.immediate = source.value;
    }
  }

  static final class Store64 extends StoreRegister {
    Store64(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      c.store64(memory.linear(c, 8, true), c.gpr[source] + immediate);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class Store32 extends StoreRegister {
    Store32(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      c.store32(memory.linear(c, 4, true), c.gpr[source] + immediate);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class Store8 extends StoreRegister {
    Store8(Instruction i, EffectiveAddress memory, Operand source) {
      super(i, memory, source);
    }

    @Override
    int execute(Vcpu c) {
      c.store8(memory.linear(c, 1, true), c.gpr[source] + immediate);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }
}
