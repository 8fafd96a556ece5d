package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** BT, BTS, BTR, BTC, BSF, BSR, POPCNT and CRC32. */
final class BitOps {
  /** Numbers as in ModRM.reg of group 8, less 4. */
  static final int TEST = 0;

  static final int SET = 1;
  static final int RESET = 2;
  static final int COMPLEMENT = 3;

  private BitOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map == Instruction.MAP_0F38) {
      boolean crc = (i.opcode & ~1) == 0xF0 && i.prefix == Instruction.PREFIX_F2;
      return crc ? new Crc32(i) : null;
    }
    if (i.map != Instruction.MAP_0F) {
      return null;
    }
    return switch (i.opcode) {
      case 0xA3, 0xAB, 0xB3, 0xBB -> bit(i, i.opcode >>> 3 & 3, Operand.reg(i, i.operandSize));
      case 0xB8 -> i.prefix == Instruction.PREFIX_F3 ? new PopulationCount(i) : null;
      case 0xBA ->
          i.extension() >= 4
              ? bit(i, i.extension() - 4, Operand.immediate(i.immediate(1), 1))
              : null;
      case 0xBC -> new Scan(i, true);
      case 0xBD -> new Scan(i, false);
      default -> null;
    };
  }

  private static MicroOp bit(Instruction i, int operation, Operand index) {
    return operation == TEST ? new BitTest(i, index) : new BitChange(i, operation, index);
  }

  /** Bytes from the operand's address to the element that holds bit {@code index}, signed. */
  private static long distance(Operand operand, Operand index, Vcpu c) {
    if (index.kind == Operand.IMMEDIATE) {
      return 0; // an immediate index is taken modulo the operand's width
    }
    return (index.readSigned(c) >> log2(8 * operand.size)) * operand.size;
  }

  private static int log2(int power) {
    return Integer.numberOfTrailingZeros(power);
  }

  private static int position(Operand operand, Operand index, Vcpu c) {
    return (int) index.read(c) & 8 * operand.size - 1;
  }

  static final class BitTest extends MicroOp {
    final Operand operand;
    final Operand index;

    BitTest(Instruction i, Operand index) {
      super(i.offset, i.length);
      this.operand = Operand.rm(i, i.operandSize);
      this.index = index;
    }

    @Override
    int execute(Vcpu c) {
      int size = operand.size;
      long value =
          operand.isMemory()
              ? c.load(operand.memory.linear(c, size, false, distance(operand, index, c)), size)
              : operand.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      c.flags.carry((value >>> position(operand, index, c) & 1) != 0);
      return NEXT;
    }
  }

  /** BTS, BTR and BTC. */
  static final class BitChange extends AtomicOps.ReadModifyWrite {
    final int operation;
    final Operand index;

    BitChange(Instruction i, int operation, Operand index) {
      super(i, Operand.rm(i, i.operandSize), i.lock);
      this.operation = operation;
      this.index = index;
    }

    @Override
    long gva(Vcpu c) {
      return destination.memory.linear(c, destination.size, true, distance(destination, index, c));
    }

    @Override
    long apply(Vcpu c, long old) {
      long bit = 1L << position(destination, index, c);
      return switch (operation) {
        case SET -> old | bit;
        case RESET -> old & ~bit;
        default -> old ^ bit;
      };
    }

    /** The index may be the destination itself, so it is found in what changed where possible. */
    @Override
    void complete(Vcpu c, long old, long result) {
      boolean was =
          switch (operation) {
            case SET -> old == result;
            case RESET -> old != result;
            default -> (old & (old ^ result)) != 0;
          };
      c.flags.carry(was);
    }
  }

  /**
   * BSF and BSR; with F3 too, since TZCNT and LZCNT are not offered and then execute as these. A
   * source of zero leaves the destination as it is.
   */
  static final class Scan extends MicroOp {
    final boolean forward;
    final Operand destination;
    final Operand source;

    Scan(Instruction i, boolean forward) {
      super(i.offset, i.length);
      this.forward = forward;
      this.destination = Operand.reg(i, i.operandSize);
      this.source = Operand.rm(i, i.operandSize);
    }

    @Override
    int execute(Vcpu c) {
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      if (value != 0) {
        int found =
            forward ? Long.numberOfTrailingZeros(value) : 63 - Long.numberOfLeadingZeros(value);
        destination.write(c, found);
      }
      c.flags.logic(value << source.shift >> source.shift);
      return NEXT;
    }
  }

  static final class PopulationCount extends MicroOp {
    final Operand destination;
    final Operand source;

    PopulationCount(Instruction i) {
      super(i.offset, i.length);
      this.destination = Operand.reg(i, i.operandSize);
      this.source = Operand.rm(i, i.operandSize);
    }

    @Override
    int execute(Vcpu c) {
      if (!c.has(CpuFeature.POPCNT)) {
        return c.raise(Vector.UD, 0);
      }
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      destination.write(c, Long.bitCount(value));
      c.flags.setStatus(value == 0 ? Flags.ZF : 0);
      return NEXT;
    }
  }

  /** CRC32: the Castagnoli polynomial, bits reflected. */
  static final class Crc32 extends MicroOp {
    private static final int POLYNOMIAL = 0x82F6_3B78;
    private static final int[] TABLE = table();

    final Operand destination;
    final Operand source;

    Crc32(Instruction i) {
      super(i.offset, i.length);
      this.destination = Operand.reg(i, i.operandSize == 8 ? 8 : 4);
      this.source = Operand.rm(i, i.opcode == 0xF0 ? 1 : i.operandSize);
    }

    private static int[] table() {
      int[] table = new int[256];
      for (int n = 0; n < 256; n++) {
        int crc = n;
        for (int bit = 0; bit < 8; bit++) {
          crc = (crc & 1) != 0 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
        }
        table[n] = crc;
      }
      return table;
    }

    @Override
    int execute(Vcpu c) {
      if (!c.has(CpuFeature.SSE4_2)) {
        return c.raise(Vector.UD, 0);
      }
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      int crc = (int) destination.read(c);
      for (int n = 0; n < source.size; n++) {
        crc = crc >>> 8 ^ TABLE[(crc ^ (int) (value >>> 8 * n)) & 0xFF];
      }
      destination.write(c, crc & 0xFFFF_FFFFL);
      return NEXT;
    }
  }
}
