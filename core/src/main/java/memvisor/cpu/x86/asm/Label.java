package memvisor.cpu.x86.asm;

/** A place in the code, known once {@link Assembler#bind} was called with it. */
public final class Label {
  static final int UNBOUND = -1;

  /** Offset from the first byte of the program, or {@link #UNBOUND}. */
  int offset = UNBOUND;

  Label() {}

  boolean isBound() {
    return offset != UNBOUND;
  }
}
