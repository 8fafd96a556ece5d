package memvisor.cpu.x86;

/** What {@link Lanes} calls the functions of packed-integer instructions that programs use most. */
final class LaneNames {
  private LaneNames() {}

  /** By the opcode in map 0F; empty for the others. */
  static String of(int opcode) {
    return switch (opcode) {
      case 0x54, 0xDB -> "and";
      case 0x55, 0xDF -> "andNot";
      case 0x56, 0xEB -> "or";
      case 0x57, 0xEF -> "xor";
      case 0x74 -> "equal8";
      case 0x75 -> "equal16";
      case 0x76 -> "equal32";
      case 0xD4 -> "add64";
      case 0xDA -> "minU8";
      case 0xF8 -> "sub8";
      case 0xF9 -> "sub16";
      case 0xFA -> "sub32";
      case 0xFB -> "sub64";
      case 0xFC -> "add8";
      case 0xFD -> "add16";
      case 0xFE -> "add32";
      default -> "";
    };
  }

  /** Of a shift by an immediate, by opcode and ModRM.reg. */
  static String ofShift(int opcode, int extension) {
    return switch (opcode << 4 | extension) {
      case 0x722 -> "shiftRight32";
      case 0x726 -> "shiftLeft32";
      case 0x732 -> "shiftRight64";
      case 0x736 -> "shiftLeft64";
      default -> "";
    };
  }
}
