package memvisor.cpu.x86;

/** Facts about opcodes that the decoder needs before it knows the instruction (SDM vol. 2D). */
final class OpcodeTables {
  /** One bit per opcode, sixteen opcodes per row: whether ModRM follows; one-byte map. */
  private static final int[] PRIMARY = {
    0x0F0F, 0x0F0F, 0x0F0F, 0x0F0F, 0x0000, 0x0000, 0x0A0C, 0x0000, // 00–70
    0xFFFF, 0x0000, 0x0000, 0x0000, 0x00F3, 0xFF0F, 0x0000, 0xC0C0, // 80–F0
  };

  /** The same for the 0F map. */
  private static final int[] MAP_0F = {
    0xA00F, 0xFFFF, 0xFF0F, 0x0000, 0xFFFF, 0xFFFF, 0xFFFF, 0xFF7F, // 00–70
    0x0000, 0xFFFF, 0xF838, 0xFFFF, 0x00FF, 0xFFFF, 0xFFFF, 0xFFFF, // 80–F0
  };

  private OpcodeTables() {}

  static boolean hasModRm(int map, int opcode) {
    return switch (map) {
      case Instruction.MAP_PRIMARY -> (PRIMARY[opcode >>> 4] >>> (opcode & 15) & 1) != 0;
      case Instruction.MAP_0F -> (MAP_0F[opcode >>> 4] >>> (opcode & 15) & 1) != 0;
      default -> true;
    };
  }

  /** MOV to and from control and debug registers ignore ModRM.mod. */
  static boolean alwaysRegister(Instruction i) {
    return i.map == Instruction.MAP_0F && i.opcode >= 0x20 && i.opcode <= 0x23;
  }

  /**
   * Bytes of immediate after the memory operand: RIP-relative addresses count from the
   * instruction's end.
   */
  static int immediateBytes(Instruction i) {
    int full = Math.min(4, i.operandSize);
    return switch (i.map) {
      case Instruction.MAP_PRIMARY ->
          switch (i.opcode) {
            case 0x69, 0x81, 0xC7 -> full;
            case 0x6B, 0x80, 0x82, 0x83, 0xC0, 0xC1, 0xC6 -> 1;
            case 0xF6 -> i.extension() < 2 ? 1 : 0;
            case 0xF7 -> i.extension() < 2 ? full : 0;
            default -> 0;
          };
      case Instruction.MAP_0F ->
          switch (i.opcode) {
            case 0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6 -> 1;
            default -> 0;
          };
      case Instruction.MAP_0F38 -> 0;
      default -> 1;
    };
  }

  /** Whether LOCK is allowed (SDM vol. 2A, LOCK). */
  static boolean lockable(Instruction i) {
    if (!i.isMemory()) {
      return false;
    }
    int extension = i.extension();
    if (i.map == Instruction.MAP_PRIMARY) {
      return switch (i.opcode) {
        case 0x80, 0x81, 0x82, 0x83 -> extension != 7;
        case 0xFE, 0xFF -> extension <= 1;
        case 0xF6, 0xF7 -> extension == 2 || extension == 3;
        case 0x86, 0x87 -> true;
        default -> i.opcode < 0x38 && (i.opcode & 7) <= 1;
      };
    }
    return i.map == Instruction.MAP_0F
        && switch (i.opcode) {
          case 0xAB, 0xB0, 0xB1, 0xB3, 0xBB, 0xC0, 0xC1 -> true;
          case 0xBA -> extension >= 5;
          case 0xC7 -> extension == 1;
          default -> false;
        };
  }
}
