package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * Takes one instruction apart (Intel SDM vol. 2A, chapter 2) and asks the instruction groups for
 * its operation. What no group knows is #UD; VEX and EVEX are not supported and end there too.
 */
final class Decoder {
  private Decoder() {}

  /** Raises an exception whenever it is executed. */
  static final class Raise extends MicroOp {
    final int vector;

    Raise(Instruction i, int vector) {
      super(i.offset, Math.max(1, i.length));
      this.vector = vector;
    }

    @Override
    int execute(Vcpu c) {
      return c.raise(vector, 0);
    }

    @Override
    boolean endsBlock() {
      return true;
    }
  }

  /**
   * The operation of the instruction in {@code i.bytes}, or null if more bytes are needed than are
   * available (fewer than 15). Mode, offset, bytes and {@code available} are set by the caller.
   */
  static @Nullable MicroOp decode(Instruction i) {
    reset(i);
    readPrefixes(i);
    readOpcode(i);
    setSizes(i);
    if (!i.truncated && OpcodeTables.hasModRm(i.map, i.opcode)) {
      readModRm(i);
    }
    MicroOp op = i.truncated ? null : dispatch(i);
    if (i.truncated) {
      return i.available < MicroOp.MAX_LENGTH ? null : new Raise(i, Vector.GP);
    }
    if (op == null || i.lock && !OpcodeTables.lockable(i)) {
      return new Raise(i, Vector.UD);
    }
    return op;
  }

  private static void reset(Instruction i) {
    i.length = 0;
    i.truncated = false;
    i.map = Instruction.MAP_PRIMARY;
    i.prefix = Instruction.PREFIX_NONE;
    i.operandSizePrefix = false;
    i.addressSizePrefix = false;
    i.lock = false;
    i.rex = 0;
    i.hasModRm = false;
    i.mod = 0;
    i.reg = 0;
    i.rm = 0;
    i.memory = null;
    i.segmentOverride = -1;
  }

  private static void readPrefixes(Instruction i) {
    while (!i.truncated) {
      int b = i.nextByte();
      if (i.longMode && (b & 0xF0) == 0x40) {
        i.rex = b;
        continue; // counts only if it is the last prefix
      }
      if (!isLegacyPrefix(i, b)) {
        i.opcode = b;
        return;
      }
      i.rex = 0;
    }
  }

  private static boolean isLegacyPrefix(Instruction i, int b) {
    switch (b) {
      case 0x26 -> override(i, Vcpu.ES);
      case 0x2E -> override(i, Vcpu.CS);
      case 0x36 -> override(i, Vcpu.SS);
      case 0x3E -> override(i, Vcpu.DS);
      case 0x64 -> i.segmentOverride = Vcpu.FS;
      case 0x65 -> i.segmentOverride = Vcpu.GS;
      case 0x66 -> i.operandSizePrefix = true;
      case 0x67 -> i.addressSizePrefix = true;
      case 0xF0 -> i.lock = true;
      case 0xF2 -> i.prefix = Instruction.PREFIX_F2;
      case 0xF3 -> i.prefix = Instruction.PREFIX_F3;
      default -> {
        return false;
      }
    }
    return true;
  }

  /** ES, CS, SS and DS overrides are ignored in 64-bit mode. */
  private static void override(Instruction i, int segment) {
    if (!i.longMode) {
      i.segmentOverride = segment;
    }
  }

  private static void readOpcode(Instruction i) {
    if (i.operandSizePrefix && i.prefix == Instruction.PREFIX_NONE) {
      i.prefix = Instruction.PREFIX_66;
    }
    if (i.opcode != 0x0F) {
      return;
    }
    i.map = Instruction.MAP_0F;
    i.opcode = i.nextByte();
    if (i.opcode == 0x38) {
      i.map = Instruction.MAP_0F38;
      i.opcode = i.nextByte();
    } else if (i.opcode == 0x3A) {
      i.map = Instruction.MAP_0F3A;
      i.opcode = i.nextByte();
    }
  }

  private static void setSizes(Instruction i) {
    if (i.longMode) {
      boolean wide = (i.rex & 8) != 0;
      i.operandSize = wide ? 8 : i.operandSizePrefix ? 2 : 4;
      i.stackOperandSize = i.operandSizePrefix && !wide ? 2 : 8;
      i.addressSize = i.addressSizePrefix ? 4 : 8;
    } else {
      i.operandSize = i.default32 != i.operandSizePrefix ? 4 : 2;
      i.stackOperandSize = i.operandSize;
      i.addressSize = i.default32 != i.addressSizePrefix ? 4 : 2;
    }
  }

  // ---- ModRM ---------------------------------------------------------------------------------

  private static void readModRm(Instruction i) {
    int modRm = i.nextByte();
    i.hasModRm = true;
    i.mod = modRm >>> 6;
    i.reg = modRm >>> 3 & 7 | (i.rex & 4) << 1;
    i.rm = modRm & 7;
    if (i.mod == 3 || OpcodeTables.alwaysRegister(i)) {
      i.mod = 3;
      i.rm |= (i.rex & 1) << 3;
    } else if (i.addressSize == 2) {
      i.memory = memory16(i);
    } else {
      i.memory = memory(i);
    }
  }

  /** 32- and 64-bit addressing (SDM vol. 2A, tables 2-2 and 2-3). */
  private static EffectiveAddress memory(Instruction i) {
    int base = i.rm | (i.rex & 1) << 3;
    int index = Vcpu.ZERO;
    int scale = 0;
    boolean noBase = i.mod == 0 && i.rm == 5;
    boolean ripRelative = noBase && i.longMode;
    if (i.rm == 4) {
      int sib = i.nextByte();
      scale = sib >>> 6;
      index = sib >>> 3 & 7 | (i.rex & 2) << 2;
      if (index == Vcpu.RSP) {
        index = Vcpu.ZERO;
      }
      base = sib & 7 | (i.rex & 1) << 3;
      noBase = i.mod == 0 && (sib & 7) == 5;
    }
    long displacement = noBase || i.mod == 2 ? i.immediate(4) : i.mod == 1 ? i.immediate(1) : 0;
    if (ripRelative) {
      displacement += i.offset + i.length + OpcodeTables.immediateBytes(i);
      base = Vcpu.BLOCK;
    } else if (noBase) {
      base = Vcpu.ZERO;
    }
    int segment = base == Vcpu.RSP || base == Vcpu.RBP ? Vcpu.SS : Vcpu.DS;
    return address(i, base, index, scale, displacement, segment);
  }

  /** 16-bit addressing (SDM vol. 2A, table 2-1). */
  private static EffectiveAddress memory16(Instruction i) {
    boolean direct = i.mod == 0 && i.rm == 6;
    int base =
        switch (i.rm) {
          case 0, 1, 7 -> Vcpu.RBX;
          case 2, 3 -> Vcpu.RBP;
          case 4 -> Vcpu.RSI;
          case 5 -> Vcpu.RDI;
          default -> direct ? Vcpu.ZERO : Vcpu.RBP;
        };
    int index =
        switch (i.rm) {
          case 0, 2 -> Vcpu.RSI;
          case 1, 3 -> Vcpu.RDI;
          default -> Vcpu.ZERO;
        };
    long displacement = direct || i.mod == 2 ? i.immediate(2) : i.mod == 1 ? i.immediate(1) : 0;
    return address(i, base, index, 0, displacement, base == Vcpu.RBP ? Vcpu.SS : Vcpu.DS);
  }

  private static EffectiveAddress address(
      Instruction i, int base, int index, int scale, long displacement, int defaultSegment) {
    int segment = i.segmentOverride >= 0 ? i.segmentOverride : defaultSegment;
    return i.addresses.get(base, index, scale, displacement, segment, i.addressMask(), !i.longMode);
  }

  // ---- groups --------------------------------------------------------------------------------

  private static @Nullable MicroOp dispatch(Instruction i) {
    MicroOp op = integer(i);
    if (op == null) {
      op = SystemOps.decode(i);
    }
    if (op == null) {
      op = X87Ops.decode(i);
    }
    return op == null ? SseOps.decode(i) : op;
  }

  private static @Nullable MicroOp integer(Instruction i) {
    MicroOp op = AluOps.decode(i);
    op = op == null ? MoveOps.decode(i) : op;
    op = op == null ? BranchOps.decode(i) : op;
    op = op == null ? StackOps.decode(i) : op;
    op = op == null ? ShiftOps.decode(i) : op;
    op = op == null ? MultiplyOps.decode(i) : op;
    op = op == null ? BitOps.decode(i) : op;
    op = op == null ? StringOps.decode(i) : op;
    op = op == null ? FlagOps.decode(i) : op;
    return op == null ? AtomicOps.decode(i) : op;
  }
}
