package memvisor.cpu.x86;

/** What {@link Shuffles} calls the functions of instructions that programs use most. */
final class ShuffleNames {
  private static final int NONE = Instruction.PREFIX_NONE;
  private static final int P66 = Instruction.PREFIX_66;

  private ShuffleNames() {}

  /** By opcode and prefix; empty for the others. */
  static String of(Instruction i) {
    return switch (i.map) {
      case Instruction.MAP_0F -> i.opcode < 0x60 ? ofFloats(i) : ofIntegers(i);
      case Instruction.MAP_0F38 -> i.opcode == 0x00 ? "pshufb" : "";
      case Instruction.MAP_0F3A -> i.opcode == 0x0F ? "palignr" : "";
      default -> "";
    };
  }

  private static String ofFloats(Instruction i) {
    return switch (i.opcode << 4 | i.prefix) {
      case 0x120 | NONE -> "movhlps";
      case 0x160 | NONE -> "movlhps";
      case 0x140 | NONE -> "unpackLow32";
      case 0x150 | NONE -> "unpackHigh32";
      case 0x140 | P66 -> "unpackLow64";
      case 0x150 | P66 -> "unpackHigh64";
      default -> "";
    };
  }

  private static String ofIntegers(Instruction i) {
    return switch (i.opcode << 4 | i.prefix) {
      case 0x600 | P66 -> "unpackLow8";
      case 0x610 | P66 -> "unpackLow16";
      case 0x620 | P66 -> "unpackLow32";
      case 0x670 | P66 -> "packuswb";
      case 0x680 | P66 -> "unpackHigh8";
      case 0x690 | P66 -> "unpackHigh16";
      case 0x6A0 | P66 -> "unpackHigh32";
      case 0x6C0 | P66 -> "unpackLow64";
      case 0x6D0 | P66 -> "unpackHigh64";
      case 0x700 | P66 -> "pshufd";
      case 0x700 | Instruction.PREFIX_F3 -> "pshufhw";
      case 0x700 | Instruction.PREFIX_F2 -> "pshuflw";
      case 0xC60 | NONE -> "shufps";
      case 0xC60 | P66 -> "shufpd";
      default -> "";
    };
  }
}
