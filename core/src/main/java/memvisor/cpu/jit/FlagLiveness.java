package memvisor.cpu.jit;

import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Operation;

/** Where the status flags that came before cannot be seen any more. */
final class FlagLiveness {
  private FlagLiveness() {}

  /** Whether a block sets all flags before it can fault, leave or read one. */
  static boolean deadAtEntry(HotCode code, int block) {
    return deadAt(code, block, 0);
  }

  /** Whether, from instruction {@code index} on, all are set before one can be seen. */
  static boolean deadAt(HotCode code, int block, int index) {
    for (int i = index; i < code.instructions(block); i++) {
      Lowered lowered = code.lowered(block, i);
      switch (lowered) {
        case Lowered.Alu o -> {
          if (touchesMemory(o)) {
            return false;
          }
          Operation operation = o.operation();
          if (operation == Operation.NOT) {
            continue;
          }
          return operation != Operation.INC
              && operation != Operation.DEC
              && operation != Operation.ADC
              && operation != Operation.SBB;
        }
        case Lowered.Move o -> {
          if (o.destination() instanceof Memory || o.source() instanceof Memory) {
            return false;
          }
        }
        case Lowered.Shift o -> {
          return !(o.destination() instanceof Memory);
        }
        case Lowered.Scan o -> {
          return !(o.source() instanceof Memory);
        }
        case Lowered.Multiply o -> {
          return !(o.left() instanceof Memory) && !(o.right() instanceof Memory);
        }
        case Lowered.MultiplyWide o -> {
          return !(o.source() instanceof Memory);
        }
        // these neither set nor read a flag
        case Lowered.Lea unused -> {}
        case Lowered.SwapBytes unused -> {}
        case Lowered.SignOf unused -> {}
        case Lowered.Nop unused -> {}
        default -> {
          return false;
        }
      }
    }
    return false;
  }

  private static boolean touchesMemory(Lowered.Alu o) {
    return o.destination() instanceof Memory || o.source() instanceof Memory;
  }
}
