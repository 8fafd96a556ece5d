package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * Decodes system instructions: control and debug registers, descriptor tables, MSRs, far transfers,
 * interrupts, I/O.
 */
final class SystemOps {
  private SystemOps() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    return null;
  }
}
