package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** MOV, MOVZX, MOVSX, MOVSXD, LEA, CMOVcc, SETcc, BSWAP, MOVBE, XLAT, conversions, NOPs. */
final class MoveOps {
  private MoveOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    return switch (i.map) {
      case Instruction.MAP_PRIMARY -> primary(i);
      case Instruction.MAP_0F -> map0F(i);
      case Instruction.MAP_0F38 -> map0F38(i);
      default -> null;
    };
  }

  private static @Nullable MicroOp primary(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize;
    if (i.opcode >= 0xB0 && i.opcode < 0xC0) {
      return moveImmediate(i);
    }
    return switch (i.opcode) {
      case 0x88, 0x89 -> move(i, Operand.rm(i, size), Operand.reg(i, size));
      case 0x8A, 0x8B -> move(i, Operand.reg(i, size), Operand.rm(i, size));
      case 0x8D -> i.isMemory() ? new Lea(i) : null;
      case 0xC6, 0xC7 -> {
        if (i.extension() != 0) {
          yield null;
        }
        Operand source = Operand.immediate(i.immediate(Math.min(size, 4)), size);
        yield move(i, Operand.rm(i, size), source);
      }
      case 0x63 -> i.longMode ? extend(i, 4, true) : null;
      case 0x90 -> (i.rex & 1) == 0 ? new Nop(i) : null;
      case 0x98 -> new Convert(i, Math.max(2, i.operandSize));
      case 0x99 -> new ConvertDouble(i);
      case 0xA0, 0xA1, 0xA2, 0xA3 -> moveOffset(i, size);
      case 0xD7 -> new Xlat(i);
      default -> null;
    };
  }

  private static @Nullable MicroOp map0F(Instruction i) {
    if (i.opcode >= 0x40 && i.opcode < 0x50) {
      return new ConditionalMove(i);
    }
    if (i.opcode >= 0x90 && i.opcode < 0xA0) {
      return new SetCondition(i);
    }
    if (i.opcode >= 0xC8 && i.opcode < 0xD0) {
      return new ByteSwap(i);
    }
    return switch (i.opcode) {
      case 0x0D -> new Nop(i);
      case 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F -> new Nop(i);
      case 0xB6 -> extend(i, 1, false);
      case 0xB7 -> extend(i, 2, false);
      case 0xBE -> extend(i, 1, true);
      case 0xBF -> extend(i, 2, true);
      case 0xC3 -> moveNonTemporal(i);
      case 0xAE -> fence(i);
      default -> null;
    };
  }

  /** MOVNTI: an ordinary store. */
  private static @Nullable MicroOp moveNonTemporal(Instruction i) {
    boolean valid = i.isMemory() && i.prefix == Instruction.PREFIX_NONE;
    return valid ? move(i, Operand.rm(i, i.operandSize), Operand.reg(i, i.operandSize)) : null;
  }

  /** LFENCE, MFENCE, SFENCE, and CLFLUSH of an address that is not checked. */
  private static @Nullable MicroOp fence(Instruction i) {
    if (i.prefix != Instruction.PREFIX_NONE) {
      return null;
    }
    boolean fence = !i.isMemory() && i.extension() >= 5;
    return fence || i.isMemory() && i.extension() == 7 ? new Nop(i) : null;
  }

  /** MOVBE; CRC32 shares the opcodes under F2. */
  private static @Nullable MicroOp map0F38(Instruction i) {
    boolean movbe = (i.opcode & ~1) == 0xF0 && i.prefix <= Instruction.PREFIX_66;
    if (!movbe || !i.isMemory()) {
      return null;
    }
    Operand register = Operand.reg(i, i.operandSize);
    Operand memory = Operand.rm(i, i.operandSize);
    return i.opcode == 0xF0
        ? new MoveSwapped(i, register, memory)
        : new MoveSwapped(i, memory, register);
  }

  private static MicroOp moveImmediate(Instruction i) {
    int size = i.opcode < 0xB8 ? 1 : i.operandSize;
    long value = i.immediate(size);
    int number = i.opcode & 7 | (i.rex & 1) << 3;
    return move(i, Operand.register(i, number, size), Operand.immediate(value, size));
  }

  /** MOV between the accumulator and an absolute offset. */
  private static MicroOp moveOffset(Instruction i, int size) {
    long offset = i.immediate(i.addressSize) & i.addressMask();
    int segment = i.segmentOverride >= 0 ? i.segmentOverride : Vcpu.DS;
    EffectiveAddress address =
        new EffectiveAddress(
            Vcpu.ZERO, Vcpu.ZERO, 0, offset, segment, i.addressMask(), !i.longMode);
    Operand memory = Operand.memory(address, size);
    Operand accumulator = Operand.register(i, Vcpu.RAX, size);
    return i.opcode < 0xA2 ? move(i, accumulator, memory) : move(i, memory, accumulator);
  }

  private static MicroOp move(Instruction i, Operand destination, Operand source) {
    MicroOp hot = MoveHotOps.create(i, destination, source);
    return hot == null ? new Move(i, destination, source) : hot;
  }

  private static MicroOp extend(Instruction i, int sourceSize, boolean signed) {
    Operand destination = Operand.reg(i, i.operandSize);
    Operand source = Operand.rm(i, Math.min(sourceSize, i.operandSize));
    if (!signed && destination.size >= 4 && source.isMemory()) {
      return sourceSize == 1
          ? new MoveHotOps.LoadZero8(i, destination.register, source.memory)
          : new MoveHotOps.LoadZero16(i, destination.register, source.memory);
    }
    if (!signed) {
      return new Move(i, destination, source);
    }
    return destination.kind == Operand.REGISTER64 && source.kind == Operand.REGISTER32
        ? new MoveHotOps.SignExtend32(i, destination.register, source)
        : new MoveSigned(i, destination, source);
  }

  static final class Move extends MicroOp {
    final Operand destination;
    final Operand source;

    Move(Instruction i, Operand destination, Operand source) {
      super(i.offset, i.length);
      this.destination = destination;
      this.source = source;
    }

    @Override
    int execute(Vcpu c) {
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      destination.write(c, value);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class MoveSigned extends MicroOp {
    final Operand destination;
    final Operand source;

    MoveSigned(Instruction i, Operand destination, Operand source) {
      super(i.offset, i.length);
      this.destination = destination;
      this.source = source;
    }

    @Override
    int execute(Vcpu c) {
      long value = source.readSigned(c);
      if (c.fault != 0) {
        return FAULT;
      }
      destination.write(c, value);
      return NEXT;
    }
  }

  static final class MoveSwapped extends MicroOp {
    final Operand destination;
    final Operand source;

    MoveSwapped(Instruction i, Operand destination, Operand source) {
      super(i.offset, i.length);
      this.destination = destination;
      this.source = source;
    }

    @Override
    int execute(Vcpu c) {
      if (!c.has(CpuFeature.MOVBE)) {
        return c.raise(Vector.UD, 0);
      }
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      destination.write(c, Long.reverseBytes(value) >>> destination.shift);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class Lea extends MicroOp {
    final Operand destination;
    final EffectiveAddress memory;

    Lea(Instruction i) {
      super(i.offset, i.length);
      this.destination = Operand.reg(i, i.operandSize);
      this.memory = i.address();
    }

    @Override
    int execute(Vcpu c) {
      long offset = memory.offset(c);
      if (destination.kind == Operand.REGISTER64) {
        c.gpr[destination.register] = offset;
      } else {
        destination.write(c, offset);
      }
      return NEXT;
    }
  }

  static final class ConditionalMove extends MicroOp {
    final int condition;
    final Operand destination;
    final Operand source;

    ConditionalMove(Instruction i) {
      super(i.offset, i.length);
      this.condition = i.opcode & 15;
      this.destination = Operand.reg(i, i.operandSize);
      this.source = Operand.rm(i, i.operandSize);
    }

    @Override
    int execute(Vcpu c) {
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      // a 32-bit destination is zero-extended even where nothing is moved
      destination.write(c, c.flags.condition(condition) ? value : destination.read(c));
      return NEXT;
    }
  }

  static final class SetCondition extends MicroOp {
    final int condition;
    final Operand destination;

    SetCondition(Instruction i) {
      super(i.offset, i.length);
      this.condition = i.opcode & 15;
      this.destination = Operand.rm(i, 1);
    }

    @Override
    int execute(Vcpu c) {
      destination.write(c, c.flags.condition(condition) ? 1 : 0);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class ByteSwap extends MicroOp {
    final Operand operand;

    ByteSwap(Instruction i) {
      super(i.offset, i.length);
      this.operand = Operand.register(i, i.opcode & 7 | (i.rex & 1) << 3, i.operandSize);
    }

    @Override
    int execute(Vcpu c) {
      // of a 16-bit register the result is undefined; processors clear it
      long swapped = operand.size == 2 ? 0 : Long.reverseBytes(operand.read(c)) >>> operand.shift;
      operand.write(c, swapped);
      return NEXT;
    }
  }

  /** CBW, CWDE, CDQE. */
  static final class Convert extends MicroOp {
    final Operand half;
    final Operand whole;

    Convert(Instruction i, int size) {
      super(i.offset, i.length);
      this.half = Operand.register(i, Vcpu.RAX, size / 2);
      this.whole = Operand.register(i, Vcpu.RAX, size);
    }

    @Override
    int execute(Vcpu c) {
      whole.write(c, half.readSigned(c));
      return NEXT;
    }
  }

  /** CWD, CDQ, CQO. */
  static final class ConvertDouble extends MicroOp {
    final Operand low;
    final Operand high;

    ConvertDouble(Instruction i) {
      super(i.offset, i.length);
      this.low = Operand.register(i, Vcpu.RAX, i.operandSize);
      this.high = Operand.register(i, Vcpu.RDX, i.operandSize);
    }

    @Override
    int execute(Vcpu c) {
      high.write(c, low.readSigned(c) >> 63);
      return NEXT;
    }
  }

  /** XLAT: AL becomes the byte at RBX + AL, wrapped to the address size. */
  static final class Xlat extends MicroOp {
    final EffectiveAddress table;

    Xlat(Instruction i) {
      super(i.offset, i.length);
      int segment = i.segmentOverride >= 0 ? i.segmentOverride : Vcpu.DS;
      this.table =
          new EffectiveAddress(Vcpu.RBX, Vcpu.BLOCK, 0, 0, segment, i.addressMask(), !i.longMode);
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long block = gpr[Vcpu.BLOCK];
      gpr[Vcpu.BLOCK] = gpr[Vcpu.RAX] & 0xFF; // borrowed as the index
      long value = c.load8(table.linear(c, 1, false));
      gpr[Vcpu.BLOCK] = block;
      if (c.fault != 0) {
        return FAULT;
      }
      gpr[Vcpu.RAX] = gpr[Vcpu.RAX] & ~0xFFL | value;
      return NEXT;
    }
  }

  /** NOP, PAUSE, ENDBR, prefetches and fences: a vCPU's own accesses are in order. */
  static final class Nop extends MicroOp {
    Nop(Instruction i) {
      super(i.offset, i.length);
    }

    @Override
    int execute(Vcpu c) {
      return NEXT;
    }
  }
}
