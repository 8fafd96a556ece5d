package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes SSE to SSE4.2 instructions. */
final class SseOps {
  private SseOps() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    return null;
  }
}
