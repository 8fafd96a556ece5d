package memvisor.cpu.x86;

import static memvisor.cpu.x86.InstructionForm.*;

import java.util.ArrayList;
import java.util.List;

/** The instructions that are compared with the host's. */
final class InstructionForms {
  private static final int AF = Flags.AF;
  private static final int OF = Flags.OF;
  private static final int CF = Flags.CF;
  private static final int BUT_ZF = Flags.STATUS & ~Flags.ZF;
  private static final int BUT_CF_OF = Flags.STATUS & ~(Flags.CF | Flags.OF);

  private InstructionForms() {}

  static List<InstructionForm> integerForms() {
    List<InstructionForm> forms = new ArrayList<>();
    String[] alu = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
    for (int op = 0; op < 8; op++) {
      int undefined = op == 1 || op == 4 || op == 6 ? AF : 0;
      for (int form = 0; form < 4; form++) {
        int width = (form & 1) == 0 ? BYTE : VARIABLE;
        forms.add(
            integer(alu[op], op << 3 | form, GENERAL, GENERAL_OR_MEMORY, width, 0, undefined));
      }
      forms.add(integer(alu[op], op << 3 | 4, NO_MODRM, 0, BYTE, 1, undefined));
      forms.add(integer(alu[op], op << 3 | 5, NO_MODRM, 0, VARIABLE, 4, undefined));
      forms.add(integer(alu[op], 0x80, op, GENERAL_OR_MEMORY, BYTE, 1, undefined));
      forms.add(integer(alu[op], 0x81, op, GENERAL_OR_MEMORY, VARIABLE, 4, undefined));
      forms.add(integer(alu[op], 0x83, op, GENERAL_OR_MEMORY, VARIABLE, 1, undefined));
    }
    unary(forms);
    moves(forms);
    shifts(forms);
    bits(forms);
    strings(forms);
    return forms;
  }

  private static void unary(List<InstructionForm> forms) {
    for (int width = 0; width < 2; width++) {
      forms.add(integer("test", 0x84 | width, GENERAL, GENERAL_OR_MEMORY, width, 0, AF));
      forms.add(integer("test", 0xF6 | width, 0, GENERAL_OR_MEMORY, width, width == 0 ? 1 : 4, AF));
      forms.add(integer("test", 0xA8 | width, NO_MODRM, 0, width, width == 0 ? 1 : 4, AF));
      forms.add(integer("not", 0xF6 | width, 2, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("neg", 0xF6 | width, 3, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("mul", 0xF6 | width, 4, GENERAL_OR_MEMORY, width, 0, BUT_CF_OF));
      forms.add(integer("imul", 0xF6 | width, 5, GENERAL_OR_MEMORY, width, 0, BUT_CF_OF));
      forms.add(integer("inc", 0xFE | width, 0, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("dec", 0xFE | width, 1, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("xchg", 0x86 | width, GENERAL, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("xadd", 0x0FC0 | width, GENERAL, GENERAL_OR_MEMORY, width, 0, 0));
      // A failed comparison with a 32-bit register clears its upper half on some processors only.
      int where = width == BYTE ? GENERAL_OR_MEMORY : MEMORY_ONLY;
      forms.add(integer("cmpxchg", 0x0FB0 | width, GENERAL, where, width, 0, 0));
      for (int signed = 0; signed < 2; signed++) {
        forms.add(
            integer("div", 0xF6 | width, 6 + signed, GENERAL_ONLY, width, 0, Flags.STATUS)
                .with(Trait.DIVIDES));
      }
    }
    forms.add(integer("imul", 0x0FAF, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, BUT_CF_OF));
    forms.add(integer("imul", 0x69, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 4, BUT_CF_OF));
    forms.add(integer("imul", 0x6B, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 1, BUT_CF_OF));
    forms.add(integer("cmpxchg8b", 0x0FC7, 1, MEMORY_ONLY, WIDE, 0, 0).with(Trait.ALIGNED));
  }

  private static void moves(List<InstructionForm> forms) {
    for (int width = 0; width < 2; width++) {
      forms.add(integer("mov", 0x88 | width, GENERAL, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("mov", 0x8A | width, GENERAL, GENERAL_OR_MEMORY, width, 0, 0));
      forms.add(integer("mov", 0xC6 | width, 0, GENERAL_OR_MEMORY, width, width == 0 ? 1 : 4, 0));
      forms.add(integer("movzx", 0x0FB6 | width, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
      forms.add(integer("movsx", 0x0FBE | width, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
    }
    forms.add(integer("movsxd", 0x63, GENERAL, GENERAL_OR_MEMORY, WIDE, 0, 0));
    forms.add(integer("lea", 0x8D, GENERAL, MEMORY_ONLY, VARIABLE, 0, 0));
    forms.add(integer("cbw", 0x98, NO_MODRM, 0, VARIABLE, 0, 0));
    forms.add(integer("cwd", 0x99, NO_MODRM, 0, VARIABLE, 0, 0));
    forms.add(integer("lahf", 0x9F, NO_MODRM, 0, FIXED, 0, 0));
    forms.add(integer("sahf", 0x9E, NO_MODRM, 0, FIXED, 0, 0));
    forms.add(integer("cmc", 0xF5, NO_MODRM, 0, FIXED, 0, 0));
    forms.add(integer("nop", 0x0F1F, 0, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
    for (int cc = 0; cc < 16; cc++) {
      forms.add(integer("cmov", 0x0F40 | cc, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
      forms.add(integer("set", 0x0F90 | cc, 0, GENERAL_OR_MEMORY, BYTE, 0, 0));
    }
    for (int r : new int[] {0, 1, 2, 3, 5, 6, 7}) {
      forms.add(integer("xchg", 0x90 | r, NO_MODRM, 0, VARIABLE, 0, 0));
      forms.add(integer("bswap", 0x0FC8 | r, NO_MODRM, 0, WIDE, 0, 0));
    }
  }

  private static void shifts(List<InstructionForm> forms) {
    String[] names = {"rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"};
    for (int op = 0; op < 8; op++) {
      boolean rotate = op < 4;
      for (int width = 0; width < 2; width++) {
        int undefined = rotate ? OF : OF | AF | (width == BYTE || op < 7 ? CF : 0);
        forms.add(integer(names[op], 0xC0 | width, op, GENERAL_OR_MEMORY, width, 1, undefined));
        forms.add(integer(names[op], 0xD2 | width, op, GENERAL_OR_MEMORY, width, 0, undefined));
        forms.add(
            integer(names[op], 0xD0 | width, op, GENERAL_OR_MEMORY, width, 0, rotate ? 0 : AF));
      }
    }
    forms.add(integer("shld", 0x0FA4, GENERAL, GENERAL_OR_MEMORY, WIDE, 1, OF | AF));
    forms.add(integer("shld", 0x0FA5, GENERAL, GENERAL_OR_MEMORY, WIDE, 0, OF | AF));
    forms.add(integer("shrd", 0x0FAC, GENERAL, GENERAL_OR_MEMORY, WIDE, 1, OF | AF));
    forms.add(integer("shrd", 0x0FAD, GENERAL, GENERAL_OR_MEMORY, WIDE, 0, OF | AF));
  }

  private static void bits(List<InstructionForm> forms) {
    int undefined = Flags.STATUS & ~(CF | Flags.ZF);
    for (int op = 4; op < 8; op++) {
      forms.add(integer("bt", 0x0FBA, op, GENERAL_OR_MEMORY, VARIABLE, 1, undefined));
      forms.add(
          integer("bt", 0x0F83 | op << 3, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, undefined)
              .with(Trait.BIT_OFFSET));
    }
    forms.add(integer("bsf", 0x0FBC, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, BUT_ZF));
    forms.add(integer("bsr", 0x0FBD, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, BUT_ZF));
    forms.add(integer("popcnt", 0xF300_0FB8, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
    forms.add(integer("crc32", 0xF20F_38F0, GENERAL, GENERAL_OR_MEMORY, FIXED, 0, 0));
    forms.add(integer("crc32", 0xF20F_38F1, GENERAL, GENERAL_OR_MEMORY, VARIABLE, 0, 0));
  }

  private static void strings(List<InstructionForm> forms) {
    for (int prefix : new int[] {0, 0xF3, 0xF2}) {
      for (int opcode : new int[] {0xA4, 0xA6, 0xAA, 0xAC, 0xAE}) {
        for (int width = 0; width < 2; width++) {
          int code = prefix << 24 | opcode | width;
          forms.add(integer("string", code, NO_MODRM, 0, width, 0, 0).with(Trait.STRING));
        }
      }
    }
  }

  static List<InstructionForm> sseForms() {
    List<InstructionForm> forms = new ArrayList<>();
    sseMoves(forms);
    sseIntegers(forms);
    sseFloats(forms);
    sseExtensions(forms);
    return forms;
  }

  private static void sseMoves(List<InstructionForm> forms) {
    for (int opcode : new int[] {0x10, 0x11}) {
      for (int prefix : new int[] {0, 0x66, 0xF3, 0xF2}) {
        forms.add(InstructionForm.sse(prefix << 24 | 0x0F00 | opcode).with(Trait.PLAIN));
      }
    }
    for (int code :
        new int[] {
          0x0F12, 0x0F16, 0xF200_0F12, 0xF300_0F6F, 0xF300_0F7F, 0xF300_0F7E, 0x6600_0FD6
        }) {
      forms.add(InstructionForm.sse(code).with(Trait.PLAIN));
    }
    for (int code :
        new int[] {
          0xF300_0F12,
          0xF300_0F16,
          0x0F28,
          0x0F29,
          0x6600_0F28,
          0x6600_0F29,
          0x6600_0F6F,
          0x6600_0F7F
        }) {
      forms.add(InstructionForm.sse(code));
    }
    for (int code :
        new int[] {
          0x0F13,
          0x0F17,
          0x6600_0F12,
          0x6600_0F13,
          0x6600_0F16,
          0x6600_0F17,
          0x0F2B,
          0x6600_0F2B,
          0x6600_0FE7,
          0xF200_0FF0,
          0x660F_382A
        }) {
      forms.add(InstructionForm.sse(code).operands(XMM, MEMORY_ONLY, FIXED));
    }
    for (int code : new int[] {0x0F50, 0x6600_0F50, 0x6600_0FD7}) {
      forms.add(InstructionForm.sse(code).operands(GENERAL, XMM_ONLY, FIXED));
    }
    forms.add(
        InstructionForm.sse(0x6600_0F6E).operands(XMM, GENERAL_OR_MEMORY, WIDE).with(Trait.PLAIN));
    forms.add(
        InstructionForm.sse(0x6600_0F7E).operands(XMM, GENERAL_OR_MEMORY, WIDE).with(Trait.PLAIN));
    forms.add(InstructionForm.sse(0x0FC3).operands(GENERAL, MEMORY_ONLY, WIDE).with(Trait.PLAIN));
  }

  private static void sseIntegers(List<InstructionForm> forms) {
    for (int opcode = 0x60; opcode <= 0x6D; opcode++) {
      forms.add(InstructionForm.sse(0x6600_0F00 | opcode));
    }
    for (int opcode = 0xD1; opcode <= 0xFE; opcode++) {
      boolean other = opcode == 0xD6 || opcode == 0xD7 || opcode == 0xE6 || opcode == 0xE7;
      if (!other && opcode != 0xF0 && opcode != 0xF7) {
        forms.add(InstructionForm.sse(0x6600_0F00 | opcode));
      }
    }
    for (int opcode = 0x74; opcode <= 0x76; opcode++) {
      forms.add(InstructionForm.sse(0x6600_0F00 | opcode));
    }
    for (int code : new int[] {0x6600_0F70, 0xF300_0F70, 0xF200_0F70, 0x0FC6, 0x6600_0FC6}) {
      forms.add(InstructionForm.sse(code).withImmediate());
    }
    for (int selector :
        new int[] {0x712, 0x714, 0x716, 0x722, 0x724, 0x726, 0x732, 0x733, 0x736, 0x737}) {
      int code = 0x6600_0F00 | selector >> 4;
      forms.add(InstructionForm.sse(code).operands(selector & 7, XMM_ONLY, FIXED).withImmediate());
    }
    forms.add(
        InstructionForm.sse(0x6600_0FC4).operands(XMM, GENERAL_OR_MEMORY, FIXED).withImmediate());
    forms.add(InstructionForm.sse(0x6600_0FC5).operands(GENERAL, XMM_ONLY, FIXED).withImmediate());
    for (int opcode : new int[] {0x14, 0x15, 0x54, 0x55, 0x56, 0x57}) {
      forms.add(InstructionForm.sse(0x0F00 | opcode));
      forms.add(InstructionForm.sse(0x6600_0F00 | opcode));
    }
  }

  private static void sseFloats(List<InstructionForm> forms) {
    for (int prefix : new int[] {0, 0x66, 0xF3, 0xF2}) {
      for (int opcode : new int[] {0x51, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F}) {
        forms.add(InstructionForm.sse(prefix << 24 | 0x0F00 | opcode));
      }
      forms.add(
          new InstructionForm(
              "cmp", prefix << 24 | 0x0FC2, XMM, XMM_OR_MEMORY, FIXED, 1, 0, Trait.ALIGNED));
    }
    for (int code :
        new int[] {
          0x0F2E,
          0x0F2F,
          0x6600_0F2E,
          0x6600_0F2F,
          0x0F5B,
          0x6600_0F5B,
          0xF300_0F5B,
          0x6600_0FE6,
          0xF300_0FE6,
          0xF200_0FE6
        }) {
      forms.add(InstructionForm.sse(code));
    }
    for (int code :
        new int[] {0x6600_0F7C, 0xF200_0F7C, 0x6600_0F7D, 0xF200_0F7D, 0x6600_0FD0, 0xF200_0FD0}) {
      forms.add(InstructionForm.sse(code));
    }
    for (int prefix : new int[] {0xF300_0000, 0xF200_0000}) {
      forms.add(InstructionForm.sse(prefix | 0x0F2A).operands(XMM, GENERAL_OR_MEMORY, WIDE));
      forms.add(InstructionForm.sse(prefix | 0x0F2C).operands(GENERAL, XMM_OR_MEMORY, WIDE));
      forms.add(InstructionForm.sse(prefix | 0x0F2D).operands(GENERAL, XMM_OR_MEMORY, WIDE));
    }
  }

  private static void sseExtensions(List<InstructionForm> forms) {
    for (int opcode = 0; opcode <= 0x0B; opcode++) {
      forms.add(InstructionForm.sse(0x660F_3800 | opcode));
    }
    for (int opcode :
        new int[] {0x10, 0x14, 0x15, 0x17, 0x1C, 0x1D, 0x1E, 0x28, 0x29, 0x2B, 0x37, 0x40, 0x41}) {
      forms.add(InstructionForm.sse(0x660F_3800 | opcode));
    }
    for (int opcode = 0x20; opcode <= 0x25; opcode++) {
      forms.add(InstructionForm.sse(0x660F_3800 | opcode));
      forms.add(InstructionForm.sse(0x660F_3810 | opcode));
    }
    for (int opcode = 0x38; opcode <= 0x3F; opcode++) {
      forms.add(InstructionForm.sse(0x660F_3800 | opcode));
    }
    for (int opcode :
        new int[] {
          0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x21, 0x40, 0x41, 0x42, 0x60, 0x61, 0x62,
          0x63
        }) {
      forms.add(InstructionForm.sse(0x660F_3A00 | opcode).withImmediate());
    }
    for (int opcode : new int[] {0x14, 0x15, 0x16, 0x17, 0x20, 0x22}) {
      int width = (opcode & 0xF) == 6 || opcode == 0x22 ? WIDE : FIXED;
      forms.add(
          InstructionForm.sse(0x660F_3A00 | opcode)
              .operands(XMM, GENERAL_OR_MEMORY, width)
              .withImmediate());
    }
  }

  /**
   * All of x87 but the transcendental functions, whose last bits differ between processors, the
   * environment, which holds addresses, and FBLD, which is undefined for most bytes.
   */
  static List<InstructionForm> x87Forms() {
    List<InstructionForm> forms = new ArrayList<>();
    for (int escape = 0xD8; escape <= 0xDF; escape++) {
      for (int extension = 0; extension < 8; extension++) {
        if (!isExcludedMemory(escape << 4 | extension)) {
          forms.add(integer("x87", escape, extension, MEMORY_ONLY, FIXED, 0, 0).with(Trait.X87));
        }
      }
      for (int second = 0xC0; second <= 0xFF; second++) {
        if (!isExcludedRegister(escape << 8 | second)) {
          int code = escape << 8 | second;
          forms.add(integer("x87", code, NO_MODRM, 0, FIXED, 0, 0).with(Trait.X87));
        }
      }
    }
    return forms;
  }

  private static boolean isExcludedMemory(int selector) {
    return switch (selector) {
      case 0xD91, 0xDB4, 0xDB6, 0xDD5 -> true; // undefined
      case 0xD94, 0xD95, 0xD96, 0xDD4, 0xDD6, 0xDF4 -> true; // environment, FLDCW, FBLD
      default -> false;
    };
  }

  private static boolean isExcludedRegister(int code) {
    int escape = code >> 8;
    int second = code & 0xFF;
    int group = second >> 3 & 7;
    return switch (escape) {
      case 0xD8, 0xDC -> false;
      case 0xD9 -> second > 0xD0 && second < 0xE0 || isExcludedFunction(second);
      case 0xDA -> group >= 4 && second != 0xE9;
      case 0xDB -> group == 4 && second != 0xE2 && second != 0xE3 || group == 7;
      case 0xDD -> group >= 6 || group == 1;
      case 0xDE -> group == 3 && second != 0xD9 || group == 2;
      default -> group == 4 && second != 0xE0 || group == 7 || group >= 1 && group <= 3;
    };
  }

  private static boolean isExcludedFunction(int second) {
    return switch (second) {
      case 0xE2, 0xE3, 0xE6, 0xE7, 0xEF -> true;
      case 0xF0, 0xF1, 0xF2, 0xF3, 0xF9, 0xFB, 0xFE, 0xFF -> true;
      default -> false;
    };
  }
}
