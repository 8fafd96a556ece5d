package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * One instruction taken apart: prefixes, opcode, ModRM, memory operand, sizes. Filled by the
 * decoder and read by the decoders of the instruction groups; reused from instruction to
 * instruction.
 *
 * <p>The decoder calls a group's {@code decode(Instruction)} after prefixes, opcode, and (where the
 * opcode has one) ModRM with its memory operand were read. A group reads immediates through {@link
 * #immediate}, which also moves {@link #length} on, and must do so before it constructs operations.
 */
final class Instruction {
  /** Opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
  static final int MAP_PRIMARY = 0;

  static final int MAP_0F = 1;
  static final int MAP_0F38 = 2;
  static final int MAP_0F3A = 3;

  /**
   * Mandatory or repeat prefix in force: none, 66, F3, F2 (F2/F3 win over 66; see also {@link
   * #operandSizePrefix}).
   */
  static final int PREFIX_NONE = 0;

  static final int PREFIX_66 = 1;
  static final int PREFIX_F3 = 2;
  static final int PREFIX_F2 = 3;

  /** What operands may have in common. */
  final AddressPool addresses = new AddressPool();

  int map;
  int opcode;
  int prefix;
  boolean operandSizePrefix;
  boolean addressSizePrefix;
  boolean lock;

  /** REX prefix byte, 0 if absent. */
  int rex;

  /** 64-bit code segment in long mode. */
  boolean longMode;

  /** Default operand size 32 (CS.D) outside 64-bit mode. */
  boolean default32;

  /** Protected mode is on (CR0.PE); false is real mode. Virtual-8086 mode is not supported. */
  boolean protectedMode;

  /** CPL when decoded; part of the block's key. */
  int cpl;

  /** Operand size in bytes from prefixes and mode: 2, 4 or 8 (8 with REX.W). */
  int operandSize;

  /** As {@link #operandSize} but 8 by default in 64-bit mode (PUSH, CALL, near branches …). */
  int stackOperandSize;

  /** Address size in bytes: 2, 4 or 8. */
  int addressSize;

  /** Width of the stack pointer in bytes: 8 in 64-bit mode, else 4 or 2 by SS.B. */
  int stackAddressSize;

  /** ModRM was read. */
  boolean hasModRm;

  int mod;

  /** ModRM.reg with REX.R, 0–15. */
  int reg;

  /** ModRM.rm with REX.B where mod = 3, 0–15. */
  int rm;

  /** Memory operand where mod != 3. */
  @Nullable EffectiveAddress memory;

  /** Segment override as a register number, -1 for none. */
  int segmentOverride;

  /** Offset of this instruction from the block's first byte. */
  int offset;

  /** Bytes consumed so far; the instruction's length once immediates are read. */
  int length;

  /**
   * The bytes, at least 15 available; a read past what could be fetched sets {@link #truncated}.
   */
  final byte[] bytes = new byte[16];

  int available;
  boolean truncated;

  /** Whether ModRM names a memory operand. */
  boolean isMemory() {
    return memory != null;
  }

  /** The memory operand; only where {@link #isMemory}. */
  EffectiveAddress address() {
    EffectiveAddress address = memory;
    if (address == null) {
      throw new IllegalStateException("register form: opcode=0x%x".formatted(opcode));
    }
    return address;
  }

  /** The ModRM.reg field without REX, 0–7: the opcode extension of groups. */
  int extension() {
    return reg & 7;
  }

  /** All ones over the address size. */
  long addressMask() {
    return mask(addressSize);
  }

  /** All ones over the stack-pointer width. */
  long stackMask() {
    return mask(stackAddressSize);
  }

  /** The memory operand {@code SS:[RSP + displacement]}. */
  EffectiveAddress stack(long displacement) {
    return addresses.get(Vcpu.RSP, Vcpu.ZERO, 0, displacement, Vcpu.SS, stackMask(), !longMode);
  }

  static long mask(int sizeBytes) {
    return -1L >>> 64 - 8 * sizeBytes;
  }

  /** Reads one byte, zero-extended. */
  int nextByte() {
    return (int) immediate(1) & 0xFF;
  }

  /** Reads an immediate of 1, 2, 4 or 8 bytes, sign-extended. */
  long immediate(int sizeBytes) {
    if (length + sizeBytes > available) {
      truncated = true;
      return 0;
    }
    long value = 0;
    for (int i = 0; i < sizeBytes; i++) {
      value |= (bytes[length + i] & 0xFFL) << 8 * i;
    }
    length += sizeBytes;
    int unused = 64 - 8 * sizeBytes;
    return value << unused >> unused;
  }
}
