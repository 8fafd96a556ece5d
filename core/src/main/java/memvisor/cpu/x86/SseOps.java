package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Decodes SSE to SSE4.2 instructions. */
final class SseOps {
  private SseOps() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    if (i.lock) {
      return null;
    }
    return i.map == Instruction.MAP_0F ? decode0F(i) : null;
  }

  private static @Nullable MicroOp decode0F(Instruction i) {
    MicroOp op = SseMoveOps.decode(i);
    if (op == null) {
      op = SseInteger.decode(i);
    }
    if (op == null) {
      op = SseInteger.decodeLogic(i);
    }
    return op;
  }
}
