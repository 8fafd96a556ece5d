package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes x87 instructions (opcodes D8–DF, 9B) and FXSAVE/XSAVE. */
final class X87Ops {
  private X87Ops() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    if (i.lock) {
      return null;
    }
    if (i.map == Instruction.MAP_0F) {
      return i.opcode == 0xAE ? FpuSaveOps.decode(i) : null;
    }
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    if (i.opcode == 0x9B) {
      return new Wait(i);
    }
    return i.opcode >= 0xD8 && i.opcode <= 0xDF ? escape(i) : null;
  }

  private static @Nullable MicroOp escape(Instruction i) {
    MicroOp op = X87ControlOps.decode(i);
    if (op == null) {
      op = X87MoveOps.decode(i);
    }
    if (op == null) {
      op = X87ArithmeticOps.decode(i);
    }
    if (op == null) {
      op = X87Functions.decode(i);
    }
    return op == null ? X87EnvironmentOps.decode(i) : op;
  }

  /** FWAIT. */
  private static final class Wait extends FpuOp {
    Wait(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (waitUnavailable(c)) {
        return denied(c);
      }
      return c.fpu.exceptionPending() ? c.raise(FLOATING_POINT_ERROR, 0) : NEXT;
    }
  }
}
