package memvisor.cpu.x86.asm;

import java.nio.charset.StandardCharsets;

/**
 * Assembles a program for one address: call the methods in program order, then {@link #assemble}.
 *
 * <p>Starts in 64-bit code. A register or memory operand that the mode cannot encode, or an
 * immediate that does not fit, is rejected at once; a jump that does not reach, by {@link
 * #assemble}.
 *
 * {@snippet :
 * Assembler a = new Assembler(0x1000);
 * Label again = a.labelHere();
 * a.add(Memory.at(Register.RDI).qword(), 1);
 * a.dec(Register.ECX);
 * a.j(Condition.NE, again);
 * a.hlt();
 * byte[] code = a.assemble();
 * }
 */
public final class Assembler extends SseAssembler {
  /** A program whose first byte will lie at {@code origin}. */
  public Assembler(long origin) {
    super(origin);
  }

  // ---- mode ----------------------------------------------------------------------------------

  /** What follows runs in a 64-bit code segment. */
  public void code64() {
    setBits(64);
  }

  /** What follows runs in a 32-bit code segment. */
  public void code32() {
    setBits(32);
  }

  /** What follows runs in a 16-bit code segment. */
  public void code16() {
    setBits(16);
  }

  // ---- labels and data -----------------------------------------------------------------------

  /** Gives {@code label} the address of the next byte. */
  public void bind(Label label) {
    bindLabel(label);
  }

  /** Bytes. */
  public void db(int... values) {
    for (int value : values) {
      emitImmediate(1, value);
    }
  }

  /** Bytes. */
  public void db(byte[] values) {
    for (byte value : values) {
      emitByte(value);
    }
  }

  /** A string without terminator, in UTF-8. */
  public void ascii(String text) {
    db(text.getBytes(StandardCharsets.UTF_8));
  }

  /** 16-bit values. */
  public void dw(int... values) {
    for (int value : values) {
      emitImmediate(2, value);
    }
  }

  /** 32-bit values. */
  public void dd(long... values) {
    for (long value : values) {
      emitImmediate(4, value);
    }
  }

  /** 64-bit values. */
  public void dq(long... values) {
    for (long value : values) {
      emit(8, value);
    }
  }

  /** The 16-bit address of a label. */
  public void dw(Label label) {
    emitAddress(2, label, 0);
  }

  /** The 32-bit address of a label plus {@code addend}. */
  public void dd(Label label, long addend) {
    emitAddress(4, label, addend);
  }

  /** The 64-bit address of a label plus {@code addend}. */
  public void dq(Label label, long addend) {
    emitAddress(8, label, addend);
  }

  /** {@code bytes} zero bytes. */
  public void space(int bytes) {
    for (int i = 0; i < bytes; i++) {
      emitByte(0);
    }
  }

  /** Zero bytes up to the next multiple of {@code alignment}, a power of two. */
  public void align(int alignment) {
    space((int) (-here() & alignment - 1));
  }

  /** Zero bytes up to {@code address}. */
  public void org(long address) {
    if (address < here()) {
      throw new IllegalArgumentException("address=0x%x here=0x%x".formatted(address, here()));
    }
    space((int) (address - here()));
  }
}
