package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes x87 instructions (opcodes D8–DF, 9B) and FXSAVE/XSAVE. */
final class X87Ops {
  private X87Ops() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    return null;
  }
}
