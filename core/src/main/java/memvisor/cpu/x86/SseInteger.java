package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes the packed-integer and shuffle instructions of map 0F. */
final class SseInteger {
  private SseInteger() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.opcode == 0x70 || i.opcode == 0xC6) {
      return shuffle(i);
    }
    if (i.prefix == Instruction.PREFIX_66) {
      if (i.opcode >= 0x71 && i.opcode <= 0x73) {
        return immediateShift(i);
      }
      Lanes.Lane shift = shift(i.opcode);
      if (shift != null) {
        return new LaneOp.Shift(i, shift);
      }
      Lanes.Lane lane = lane(i.opcode);
      if (lane != null) {
        return new LaneOp(i, lane);
      }
    }
    Shuffles.Wide wide = wide(i.opcode, i.prefix);
    return wide == null ? null : new WideOp(i, wide, 0);
  }

  private static @Nullable MicroOp shuffle(Instruction i) {
    Shuffles.Wide function =
        switch (i.opcode << 4 | i.prefix) {
          case 0x700 | Instruction.PREFIX_66 -> Shuffles::pshufd;
          case 0x700 | Instruction.PREFIX_F3 -> Shuffles::pshufhw;
          case 0x700 | Instruction.PREFIX_F2 -> Shuffles::pshuflw;
          case 0xC60 | Instruction.PREFIX_NONE -> Shuffles::shufps;
          case 0xC60 | Instruction.PREFIX_66 -> Shuffles::shufpd;
          default -> null;
        };
    if (function == null) {
      return null;
    }
    int immediate = (int) i.immediate(1) & 0xFF;
    return new WideOp(i, function, immediate);
  }

  private static @Nullable MicroOp immediateShift(Instruction i) {
    if (i.isMemory()) {
      return null;
    }
    int selector = i.opcode << 4 | i.extension();
    Lanes.Lane function =
        switch (selector) {
          case 0x712 -> Lanes::shiftRight16;
          case 0x714 -> Lanes::shiftArithmetic16;
          case 0x716 -> Lanes::shiftLeft16;
          case 0x722 -> Lanes::shiftRight32;
          case 0x724 -> Lanes::shiftArithmetic32;
          case 0x726 -> Lanes::shiftLeft32;
          case 0x732 -> Lanes::shiftRight64;
          case 0x736 -> Lanes::shiftLeft64;
          default -> null;
        };
    if (function == null && selector != 0x733 && selector != 0x737) {
      return null;
    }
    int count = (int) i.immediate(1) & 0xFF;
    if (function != null) {
      return new LaneOp.Shift(i, function, count);
    }
    return new LaneOp.ByteShift(i, selector == 0x733 ? Shuffles::psrldq : Shuffles::pslldq, count);
  }

  private static Lanes.@Nullable Lane shift(int opcode) {
    return switch (opcode) {
      case 0xD1 -> Lanes::shiftRight16;
      case 0xD2 -> Lanes::shiftRight32;
      case 0xD3 -> Lanes::shiftRight64;
      case 0xE1 -> Lanes::shiftArithmetic16;
      case 0xE2 -> Lanes::shiftArithmetic32;
      case 0xF1 -> Lanes::shiftLeft16;
      case 0xF2 -> Lanes::shiftLeft32;
      case 0xF3 -> Lanes::shiftLeft64;
      default -> null;
    };
  }

  private static Lanes.@Nullable Lane lane(int opcode) {
    return switch (opcode) {
      case 0x64 -> Lanes::greater8;
      case 0x65 -> Lanes::greater16;
      case 0x66 -> Lanes::greater32;
      case 0x74 -> Lanes::equal8;
      case 0x75 -> Lanes::equal16;
      case 0x76 -> Lanes::equal32;
      case 0xD4 -> Lanes::add64;
      case 0xD5 -> Lanes::multiplyLow16;
      case 0xD8 -> Lanes::subU8;
      case 0xD9 -> Lanes::subU16;
      case 0xDA -> Lanes::minU8;
      case 0xDB -> Lanes::and;
      case 0xDC -> Lanes::addU8;
      case 0xDD -> Lanes::addU16;
      case 0xDE -> Lanes::maxU8;
      case 0xDF -> Lanes::andNot;
      case 0xE0 -> Lanes::average8;
      case 0xE3 -> Lanes::average16;
      case 0xE4 -> Lanes::multiplyHighU16;
      case 0xE5 -> Lanes::multiplyHighS16;
      case 0xE8 -> Lanes::subS8;
      case 0xE9 -> Lanes::subS16;
      case 0xEA -> Lanes::minS16;
      case 0xEB -> Lanes::or;
      case 0xEC -> Lanes::addS8;
      case 0xED -> Lanes::addS16;
      case 0xEE -> Lanes::maxS16;
      case 0xEF -> Lanes::xor;
      case 0xF4 -> Lanes::multiplyU32;
      case 0xF5 -> Lanes::multiplyAdd16;
      case 0xF6 -> Lanes::absoluteDifferences;
      case 0xF8 -> Lanes::sub8;
      case 0xF9 -> Lanes::sub16;
      case 0xFA -> Lanes::sub32;
      case 0xFB -> Lanes::sub64;
      case 0xFC -> Lanes::add8;
      case 0xFD -> Lanes::add16;
      case 0xFE -> Lanes::add32;
      default -> floatLogic(opcode);
    };
  }

  /** ANDPS and its kin: no rounding, no exceptions. */
  private static Lanes.@Nullable Lane floatLogic(int opcode) {
    return switch (opcode) {
      case 0x54 -> Lanes::and;
      case 0x55 -> Lanes::andNot;
      case 0x56 -> Lanes::or;
      case 0x57 -> Lanes::xor;
      default -> null;
    };
  }

  private static Shuffles.@Nullable Wide wide(int opcode, int prefix) {
    if (prefix == Instruction.PREFIX_NONE) {
      return switch (opcode) {
        case 0x14 -> Shuffles::unpackLow32;
        case 0x15 -> Shuffles::unpackHigh32;
        default -> null;
      };
    }
    if (prefix != Instruction.PREFIX_66) {
      return null;
    }
    return switch (opcode) {
      case 0x14, 0x6C -> Shuffles::unpackLow64;
      case 0x15, 0x6D -> Shuffles::unpackHigh64;
      case 0x60 -> Shuffles::unpackLow8;
      case 0x61 -> Shuffles::unpackLow16;
      case 0x62 -> Shuffles::unpackLow32;
      case 0x63 -> Shuffles::packsswb;
      case 0x67 -> Shuffles::packuswb;
      case 0x68 -> Shuffles::unpackHigh8;
      case 0x69 -> Shuffles::unpackHigh16;
      case 0x6A -> Shuffles::unpackHigh32;
      case 0x6B -> Shuffles::packssdw;
      default -> null;
    };
  }

  /** The unprefixed forms of ANDPS and its kin. */
  static @Nullable MicroOp decodeLogic(Instruction i) {
    Lanes.Lane function = i.prefix == Instruction.PREFIX_NONE ? floatLogic(i.opcode) : null;
    return function == null ? null : new LaneOp(i, function);
  }
}
