package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes what SSSE3, SSE4.1 and SSE4.2 added, and insertion and extraction of lanes. */
final class SseExtensions {
  private SseExtensions() {}

  /** PINSRW and PEXTRW of SSE2. */
  static @Nullable MicroOp decode0F(Instruction i) {
    if (i.prefix != Instruction.PREFIX_66) {
      return null;
    }
    return switch (i.opcode) {
      case 0xC4 -> new SseLaneOps.Insert(i, 2, immediate(i));
      case 0xC5 -> i.isMemory() ? null : new SseLaneOps.ExtractWord(i, immediate(i));
      default -> null;
    };
  }

  private static int immediate(Instruction i) {
    return (int) i.immediate(1) & 0xFF;
  }

  static @Nullable MicroOp decode0F38(Instruction i) {
    Lanes.Lane lane = lane(i.opcode);
    if (lane != null) {
      return new LaneOp(i, lane);
    }
    Shuffles.Wide wide = wide(i.opcode);
    if (wide != null) {
      return new WideOp(i, wide, 0);
    }
    return switch (i.opcode) {
      case 0x17 -> new SseLaneOps.Test(i);
      case 0x20, 0x30 -> new SseLaneOps.Extend(i, 1, 2, i.opcode < 0x30);
      case 0x21, 0x31 -> new SseLaneOps.Extend(i, 1, 4, i.opcode < 0x30);
      case 0x22, 0x32 -> new SseLaneOps.Extend(i, 1, 8, i.opcode < 0x30);
      case 0x23, 0x33 -> new SseLaneOps.Extend(i, 2, 4, i.opcode < 0x30);
      case 0x24, 0x34 -> new SseLaneOps.Extend(i, 2, 8, i.opcode < 0x30);
      case 0x25, 0x35 -> new SseLaneOps.Extend(i, 4, 8, i.opcode < 0x30);
      case 0x2A -> i.isMemory() ? new WideOp(i, Shuffles::source, 0) : null;
      case 0x10, 0x14, 0x15 -> new SseLaneOps.VariableBlend(i);
      default -> null;
    };
  }

  private static Lanes.@Nullable Lane lane(int opcode) {
    return switch (opcode) {
      case 0x04 -> Lanes::multiplyAdd8;
      case 0x08 -> Lanes::sign8;
      case 0x09 -> Lanes::sign16;
      case 0x0A -> Lanes::sign32;
      case 0x0B -> Lanes::multiplyRounded16;
      case 0x1C -> Lanes::abs8;
      case 0x1D -> Lanes::abs16;
      case 0x1E -> Lanes::abs32;
      case 0x28 -> Lanes::multiplyS32;
      case 0x29 -> Lanes::equal64;
      case 0x37 -> Lanes::greater64;
      case 0x38 -> Lanes::minS8;
      case 0x39 -> Lanes::minS32;
      case 0x3A -> Lanes::minU16;
      case 0x3B -> Lanes::minU32;
      case 0x3C -> Lanes::maxS8;
      case 0x3D -> Lanes::maxS32;
      case 0x3E -> Lanes::maxU16;
      case 0x3F -> Lanes::maxU32;
      case 0x40 -> Lanes::multiplyLow32;
      default -> null;
    };
  }

  private static Shuffles.@Nullable Wide wide(int opcode) {
    return switch (opcode) {
      case 0x00 -> Shuffles::pshufb;
      case 0x01 -> Horizontals::phaddw;
      case 0x02 -> Horizontals::phaddd;
      case 0x03 -> Horizontals::phaddsw;
      case 0x05 -> Horizontals::phsubw;
      case 0x06 -> Horizontals::phsubd;
      case 0x07 -> Horizontals::phsubsw;
      case 0x2B -> Shuffles::packusdw;
      case 0x41 -> Horizontals::phminposuw;
      default -> null;
    };
  }

  static @Nullable MicroOp decode0F3A(Instruction i) {
    Shuffles.Wide wide =
        switch (i.opcode) {
          case 0x0C -> Shuffles::blendps;
          case 0x0D -> Shuffles::blendpd;
          case 0x0E -> Shuffles::pblendw;
          case 0x0F -> Shuffles::palignr;
          case 0x42 -> Horizontals::mpsadbw;
          default -> null;
        };
    if (wide != null) {
      int immediate = immediate(i);
      return new WideOp(i, wide, immediate);
    }
    return switch (i.opcode) {
      case 0x08, 0x09, 0x0A, 0x0B -> new SseFloatExtensions.Round(i, immediate(i));
      case 0x40, 0x41 -> new SseFloatExtensions.DotProduct(i, immediate(i));
      case 0x14 -> new SseLaneOps.Extract(i, 1, immediate(i));
      case 0x15 -> new SseLaneOps.Extract(i, 2, immediate(i));
      case 0x16 -> new SseLaneOps.Extract(i, i.operandSize == 8 ? 8 : 4, immediate(i));
      case 0x17 -> new SseLaneOps.Extract(i, 4, immediate(i));
      case 0x20 -> new SseLaneOps.Insert(i, 1, immediate(i));
      case 0x21 -> new SseLaneOps.InsertFloat(i, immediate(i));
      case 0x22 -> new SseLaneOps.Insert(i, i.operandSize == 8 ? 8 : 4, immediate(i));
      case 0x60, 0x61, 0x62, 0x63 -> new SseString(i, immediate(i));
      default -> null;
    };
  }
}
