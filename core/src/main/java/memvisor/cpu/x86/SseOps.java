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
    return switch (i.map) {
      case Instruction.MAP_0F -> decode0F(i);
      case Instruction.MAP_0F38 ->
          i.prefix == Instruction.PREFIX_66 ? SseExtensions.decode0F38(i) : null;
      case Instruction.MAP_0F3A ->
          i.prefix == Instruction.PREFIX_66 ? SseExtensions.decode0F3A(i) : null;
      default -> null;
    };
  }

  private static @Nullable MicroOp decode0F(Instruction i) {
    MicroOp op = SseMoveOps.decode(i);
    if (op == null) {
      op = SseInteger.decode(i);
    }
    if (op == null) {
      op = SseInteger.decodeLogic(i);
    }
    if (op == null) {
      op = SseArithmetic.decode(i);
    }
    return op == null ? SseExtensions.decode0F(i) : op;
  }
}
