package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/**
 * What an exception that nobody expects does: says where it happened and ends the run as failed.
 */
final class ExceptionCode {
  /** Size of a stub. */
  static final int STUB_BYTES = 16;

  private static final int VECTORS = 32;

  private final KernelRuntime kernel;
  private final Assembler a;

  ExceptionCode(KernelRuntime kernel) {
    this.kernel = kernel;
    this.a = kernel.a;
  }

  /**
   * Emits a stub of 16 bytes for each vector, which pushes the vector, and what they all jump to.
   *
   * @param unexpected where a handler goes with the stack as the processor left it for #PF
   */
  void emit(Label stubs, Label unexpected, Label fatal) {
    Label report = a.label();
    a.align(16);
    a.bind(stubs);
    for (int vector = 0; vector < VECTORS; vector++) {
      a.align(STUB_BYTES);
      kernel.platform.enterHandler();
      if (!pushesErrorCode(vector)) {
        a.push(0);
      }
      a.push(vector);
      a.jmp(report);
    }
    a.align(16);
    a.bind(unexpected);
    a.push(14);
    a.bind(report);
    kernel.put("memvisor guest: unexpected exception\nvector   ");
    emitQuadword(Memory.at(RSP));
    kernel.put("error    ");
    emitQuadword(Memory.at(RSP, 8));
    kernel.put("rip      ");
    emitQuadword(Memory.at(RSP, 16));
    kernel.put("cr2      ");
    kernel.platform.faultAddress(RDI);
    a.call(kernel.putHex);
    a.jmp(fatal);
  }

  private void emitQuadword(Memory from) {
    a.mov(RDI, from);
    a.call(kernel.putHex);
  }

  /** Intel SDM vol. 3A, table 7-1. */
  private static boolean pushesErrorCode(int vector) {
    return switch (vector) {
      case 8, 10, 11, 12, 13, 14, 17, 21 -> true;
      default -> false;
    };
  }
}
