package memvisor.cpu.x86.asm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Bytes, labels, prefixes, ModRM and SIB (SDM vol. 2A, chapter 2): what every instruction needs.
 *
 * <p>Opcodes are integers with the mandatory prefix in bits 24–31 and the opcode bytes, escape
 * bytes included, below: {@code 0xF200_0F58} is F2 0F 58.
 */
abstract sealed class Encoder permits IntegerAssembler {
  private static final int REX = 0x40;
  private static final int REX_W = 8;
  private static final int REX_R = 4;
  private static final int REX_X = 2;
  private static final int REX_B = 1;

  /** A field of the code that holds a label's address, or its distance from {@code relativeTo}. */
  private record Fixup(int position, int sizeBytes, Label label, long addend, int relativeTo) {
    static final int ABSOLUTE = -1;
  }

  private final long origin;
  private final List<Fixup> fixups = new ArrayList<>();
  private byte[] code = new byte[1024];
  private int size;

  /** Width of the code segment that runs what is emitted: 16, 32 or 64. */
  private int bits = 64;

  Encoder(long origin) {
    this.origin = origin;
  }

  // ---- bytes and labels ----------------------------------------------------------------------

  /** Address of the first byte. */
  public final long origin() {
    return origin;
  }

  /** Address of the next byte. */
  public final long here() {
    return origin + size;
  }

  /** Bytes emitted so far. */
  public final int size() {
    return size;
  }

  /** Width of the code being emitted: 16, 32 or 64. */
  final int bits() {
    return bits;
  }

  final void setBits(int width) {
    bits = width;
  }

  /** The program, every label resolved. */
  public final byte[] assemble() {
    for (Fixup fixup : fixups) {
      if (!fixup.label.isBound()) {
        throw new IllegalStateException("label never bound: used at offset=" + fixup.position);
      }
      long value = fixup.label.offset + fixup.addend;
      if (fixup.relativeTo == Fixup.ABSOLUTE) {
        value += origin;
        requireFits(value, fixup.sizeBytes);
      } else {
        value -= fixup.relativeTo;
        requireSigned(value, fixup.sizeBytes);
      }
      put(fixup.position, fixup.sizeBytes, value);
    }
    return Arrays.copyOf(code, size);
  }

  /** A new label, bound later. */
  public final Label label() {
    return new Label();
  }

  /** A new label for the next byte. */
  public final Label labelHere() {
    Label label = new Label();
    bindLabel(label);
    return label;
  }

  /** The address of a bound label. */
  public final long address(Label label) {
    if (!label.isBound()) {
      throw new IllegalStateException("label is not bound yet");
    }
    return origin + label.offset;
  }

  final void bindLabel(Label label) {
    if (label.isBound()) {
      throw new IllegalStateException("label is bound already: offset=" + label.offset);
    }
    label.offset = size;
  }

  final void emit(int sizeBytes, long value) {
    if (size + sizeBytes > code.length) {
      code = Arrays.copyOf(code, 2 * code.length + sizeBytes);
    }
    put(size, sizeBytes, value);
    size += sizeBytes;
  }

  final void emitByte(int value) {
    emit(1, value);
  }

  private void put(int position, int sizeBytes, long value) {
    for (int i = 0; i < sizeBytes; i++) {
      code[position + i] = (byte) (value >> 8 * i);
    }
  }

  final void emitAddress(int sizeBytes, Label label, long addend) {
    fixups.add(new Fixup(size, sizeBytes, label, addend, Fixup.ABSOLUTE));
    emit(sizeBytes, 0);
  }

  /** Emits the distance to {@code label} from the end of the field plus {@code bytesAfter}. */
  final void emitDistance(int sizeBytes, Label label, int addend, int bytesAfter) {
    fixups.add(new Fixup(size, sizeBytes, label, addend, size + sizeBytes + bytesAfter));
    emit(sizeBytes, 0);
  }

  /** An immediate that the processor uses at {@code sizeBytes}, signed or unsigned. */
  final void emitImmediate(int sizeBytes, long value) {
    requireFits(value, sizeBytes);
    emit(sizeBytes, value);
  }

  static boolean isSigned(long value, int sizeBytes) {
    int unused = 64 - 8 * sizeBytes;
    return value << unused >> unused == value;
  }

  private static void requireSigned(long value, int sizeBytes) {
    if (!isSigned(value, sizeBytes)) {
      throw new IllegalStateException("distance=%d sizeBytes=%d".formatted(value, sizeBytes));
    }
  }

  private static void requireFits(long value, int sizeBytes) {
    if (!isSigned(value, sizeBytes) && value >>> 8 * sizeBytes != 0) {
      throw new IllegalArgumentException("value=0x%x sizeBytes=%d".formatted(value, sizeBytes));
    }
  }

  // ---- instructions --------------------------------------------------------------------------

  /** The operand-size prefix, where the mode's default differs. */
  final void operandSize(int sizeBytes) {
    if (bits == 16 ? sizeBytes == 4 : sizeBytes == 2) {
      emitByte(0x66);
    }
  }

  /**
   * An instruction with ModRM.
   *
   * @param sizeBytes operand size deciding 66 and REX.W; 0 for neither
   * @param reg register or opcode extension for ModRM.reg
   * @param rm register or memory
   * @param immediateBytes bytes that follow, for RIP-relative operands
   */
  final void instruction(int opcode, int sizeBytes, Operand reg, Operand rm, int immediateBytes) {
    boolean needsRex = reg instanceof Register r && r.needsRex();
    boolean forbidsRex = reg instanceof Register r && r.highByte;
    encode(opcode, sizeBytes, code(reg), needsRex, forbidsRex, rm, immediateBytes);
  }

  final void instruction(int opcode, int sizeBytes, int extension, Operand rm, int immediateBytes) {
    encode(opcode, sizeBytes, extension, false, false, rm, immediateBytes);
  }

  private void encode(
      int opcode,
      int sizeBytes,
      int reg,
      boolean needsRex,
      boolean forbidsRex,
      Operand rm,
      int immediateBytes) {
    int rex = sizeBytes == 8 ? REX | REX_W : 0;
    boolean noRex = forbidsRex;
    if (needsRex) {
      rex |= REX;
    }
    if (reg >= 8) {
      rex |= REX | REX_R;
    }
    if (rm instanceof Memory memory) {
      rex |= memoryPrefixes(memory);
    } else {
      rex |= code(rm) >= 8 ? REX | REX_B : 0;
      if (rm instanceof Register r) {
        rex |= r.needsRex() ? REX : 0;
        noRex |= r.highByte;
      }
    }
    operandSize(sizeBytes);
    opcode(opcode, rex, noRex);
    if (rm instanceof Memory memory) {
      memoryOperand(reg & 7, memory, immediateBytes);
    } else {
      emitByte(0xC0 | (reg & 7) << 3 | code(rm) & 7);
    }
  }

  /** An instruction whose register is in the opcode's low three bits. */
  final void plusRegister(int opcode, int sizeBytes, Register register) {
    int rex = sizeBytes == 8 ? REX | REX_W : 0;
    rex |= register.code >= 8 ? REX | REX_B : 0;
    rex |= register.needsRex() ? REX : 0;
    operandSize(sizeBytes);
    opcode(opcode | register.code & 7, rex, register.highByte);
  }

  /** An instruction without operands: prefix, REX.W for eight bytes, opcode. */
  final void plain(int opcode, int sizeBytes) {
    operandSize(sizeBytes);
    opcode(opcode, sizeBytes == 8 ? REX | REX_W : 0, false);
  }

  private void opcode(int opcode, int rex, boolean noRex) {
    if (opcode >>> 24 != 0) {
      emitByte(opcode >>> 24);
    }
    if (rex != 0) {
      if (bits != 64 || noRex) {
        throw new IllegalArgumentException(
            "not encodable with REX: opcode=0x%x bits=%d".formatted(opcode, bits));
      }
      emitByte(rex);
    }
    if ((opcode & 0xFF0000) != 0) {
      emitByte(opcode >> 16);
    }
    if ((opcode & 0xFFFF00) != 0) {
      emitByte(opcode >> 8);
    }
    emitByte(opcode);
  }

  /** Segment override and address size; returns the REX bits the registers need. */
  private int memoryPrefixes(Memory memory) {
    SegmentRegister segment = memory.segment();
    if (segment != null) {
      emitByte(segment.overridePrefix);
    }
    if (addressBits(memory) != bits) {
      emitByte(0x67);
    }
    Register base = memory.base();
    Register index = memory.index();
    int rex = base != null && base.code >= 8 ? REX | REX_B : 0;
    return rex | (index != null && index.code >= 8 ? REX | REX_X : 0);
  }

  private int addressBits(Memory memory) {
    Register register = memory.base() != null ? memory.base() : memory.index();
    int width = register == null ? bits : 8 * register.sizeBytes;
    boolean reachable = bits == 64 ? width >= 32 : width == 16 || width == 32;
    if (!reachable) {
      throw new IllegalArgumentException("operand=%s bits=%d".formatted(memory, bits));
    }
    return width;
  }

  private void memoryOperand(int reg, Memory memory, int immediateBytes) {
    if (addressBits(memory) == 16) {
      memoryOperand16(reg, memory);
      return;
    }
    Register base = memory.base();
    Register index = memory.index();
    Label label = memory.label();
    int displacement = memory.displacement();
    if (base == null && index == null && label != null && bits == 64) {
      emitByte(reg << 3 | 5);
      emitDistance(4, label, displacement, immediateBytes);
      return;
    }
    int baseCode = base == null ? 5 : base.code & 7;
    int mod = base == null ? 0 : displacementMode(baseCode, label, displacement);
    if (index != null || base == null && bits == 64 || base != null && baseCode == 4) {
      int indexCode = index == null ? 4 : index.code & 7;
      emitByte(mod << 6 | reg << 3 | 4);
      emitByte(Integer.numberOfTrailingZeros(memory.scale()) << 6 | indexCode << 3 | baseCode);
    } else {
      emitByte(mod << 6 | reg << 3 | baseCode);
    }
    if (mod == 2 || base == null) {
      displacement(4, label, displacement);
    } else if (mod == 1) {
      emitByte(displacement);
    }
  }

  /** ModRM.mod: no displacement, one byte, or four. */
  private static int displacementMode(int baseCode, @Nullable Label label, int displacement) {
    if (label != null) {
      return 2;
    }
    boolean none = displacement == 0 && baseCode != 5;
    return none ? 0 : isSigned(displacement, 1) ? 1 : 2;
  }

  private void displacement(int sizeBytes, @Nullable Label label, int by) {
    if (label != null) {
      emitAddress(sizeBytes, label, by);
    } else {
      emit(sizeBytes, by);
    }
  }

  /** The 16-bit forms (SDM vol. 2A, table 2-1). */
  private void memoryOperand16(int reg, Memory memory) {
    Register base = memory.base();
    Register index = memory.index();
    if (base == null) {
      emitByte(reg << 3 | 6);
      displacement(2, memory.label(), memory.displacement());
      return;
    }
    int rm =
        switch (base) {
          case SI -> 4;
          case DI -> 5;
          case BP -> index == null ? 6 : index == Register.SI ? 2 : 3;
          case BX -> index == null ? 7 : index == Register.SI ? 0 : 1;
          default -> throw new IllegalArgumentException("operand=" + memory);
        };
    boolean zero = memory.displacement() == 0 && memory.label() == null && rm != 6;
    emitByte((zero ? 0 : 0x80) | reg << 3 | rm);
    if (!zero) {
      displacement(2, memory.label(), memory.displacement());
    }
  }

  // ---- operands ------------------------------------------------------------------------------

  static int code(Operand operand) {
    return switch (operand) {
      case Register r -> r.code;
      case Xmm x -> x.ordinal();
      case SegmentRegister s -> s.ordinal();
      case ControlRegister c -> c.code;
      case DebugRegister d -> d.code;
      case Memory m -> throw new IllegalArgumentException("not a register: " + m);
    };
  }

  /** The operand size the two operands agree on. */
  static int sizeOf(Operand a, Operand b) {
    int first = a instanceof Memory && b instanceof Register ? 0 : sizeOrZero(a);
    int second = sizeOrZero(b);
    if (first != 0 && second != 0 && first != second) {
      throw new IllegalArgumentException("sizes differ: %s, %s".formatted(a, b));
    }
    return first != 0 ? first : second != 0 ? second : sizeOf(a);
  }

  /** The operand's size; memory must state it. */
  static int sizeOf(Operand operand) {
    int size = sizeOrZero(operand);
    if (size == 0) {
      throw new IllegalArgumentException("operand size is not known: " + operand);
    }
    return size;
  }

  private static int sizeOrZero(Operand operand) {
    return switch (operand) {
      case Register r -> r.sizeBytes;
      case Memory m -> m.sizeBytes();
      case Xmm x -> 16;
      case SegmentRegister s -> 2;
      case ControlRegister c -> 0;
      case DebugRegister d -> 0;
    };
  }
}
