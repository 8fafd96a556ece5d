package memvisor.cpu.x86.asm;

import org.jspecify.annotations.Nullable;

/**
 * A memory operand: {@code segment:[base + index * scale + displacement]}, or a label.
 *
 * @param base base register, of the address size
 * @param index index register, never RSP
 * @param scale 1, 2, 4 or 8
 * @param displacement signed 32-bit
 * @param label a place in the program: RIP-relative in 64-bit code if there is no register, else
 *     its address is added to the displacement
 * @param segment override, null for the default
 * @param sizeBytes operand width, 0 to take it from the register operand
 */
public record Memory(
    @Nullable Register base,
    @Nullable Register index,
    int scale,
    int displacement,
    @Nullable Label label,
    @Nullable SegmentRegister segment,
    int sizeBytes)
    implements Operand {

  /** Rejects what cannot be encoded. */
  public Memory {
    if (scale != 1 && scale != 2 && scale != 4 && scale != 8) {
      throw new IllegalArgumentException("scale=" + scale);
    }
    if (index != null && index.code == 4) {
      throw new IllegalArgumentException("index=" + index);
    }
  }

  /** {@code [base]}. */
  public static Memory at(Register base) {
    return at(base, 0);
  }

  /** {@code [base + displacement]}. */
  public static Memory at(Register base, int displacement) {
    return new Memory(base, null, 1, displacement, null, null, 0);
  }

  /** {@code [base + index * scale + displacement]}. */
  public static Memory at(Register base, Register index, int scale, int displacement) {
    return new Memory(base, index, scale, displacement, null, null, 0);
  }

  /** {@code [index * scale + displacement]}. */
  public static Memory scaled(Register index, int scale, int displacement) {
    return new Memory(null, index, scale, displacement, null, null, 0);
  }

  /** A fixed address, sign-extended from 32 bits in 64-bit code. */
  public static Memory absolute(long address) {
    if (address != (int) address && address >>> 32 != 0) {
      throw new IllegalArgumentException("address=0x%x".formatted(address));
    }
    return new Memory(null, null, 1, (int) address, null, null, 0);
  }

  /** The bytes at a label. */
  public static Memory at(Label label) {
    return new Memory(null, null, 1, 0, label, null, 0);
  }

  /** {@code [base + label]}: the label's address must fit 32 bits. */
  public static Memory at(Register base, Label label) {
    return new Memory(base, null, 1, 0, label, null, 0);
  }

  /** The same operand with a segment override. */
  public Memory in(SegmentRegister override) {
    return new Memory(base, index, scale, displacement, label, override, sizeBytes);
  }

  /** The same operand moved by {@code bytes}. */
  public Memory plus(int bytes) {
    return new Memory(base, index, scale, displacement + bytes, label, segment, sizeBytes);
  }

  /** The same operand, one byte wide. */
  public Memory byteWide() {
    return sized(1);
  }

  /** The same operand, two bytes wide. */
  public Memory word() {
    return sized(2);
  }

  /** The same operand, four bytes wide. */
  public Memory dword() {
    return sized(4);
  }

  /** The same operand, eight bytes wide. */
  public Memory qword() {
    return sized(8);
  }

  private Memory sized(int bytes) {
    return new Memory(base, index, scale, displacement, label, segment, bytes);
  }
}
