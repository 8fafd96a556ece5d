package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** The x87 control instructions: FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW and the environment. */
final class X87ControlOps {
  private X87ControlOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    int selector = (i.opcode & 7) << 4 | i.extension();
    if (i.isMemory()) {
      return switch (selector) {
        case 0x15 -> new LoadControl(i);
        case 0x17 -> new StoreControl(i);
        case 0x57 -> new StoreStatus(i);
        default -> null;
      };
    }
    return switch (selector << 4 | i.rm & 7) {
      // FNENI, FNDISI and FNSETPM of the older coprocessors do nothing.
      case 0x340, 0x341, 0x342, 0x343, 0x344 -> new Simple(i);
      case 0x740 -> new StoreStatus(i);
      default -> null;
    };
  }

  /** FNCLEX, FNINIT and the instructions that do nothing. */
  private static final class Simple extends FpuOp {
    private final int which;

    Simple(Instruction i) {
      super(i);
      which = i.rm & 7;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (which == 2) {
        c.fpu.statusBits &= 0x7F00;
      } else if (which == 3) {
        c.fpu.initialize();
      }
      return NEXT;
    }
  }

  /** FLDCW. */
  private static final class LoadControl extends FpuOp {
    LoadControl(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (c.fpu.exceptionPending()) {
        return c.raise(FLOATING_POINT_ERROR, 0);
      }
      int value = (int) c.load16(memory.linear(c, 2, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.fpu.setControl(value);
      return NEXT;
    }
  }

  /** FNSTCW. */
  private static final class StoreControl extends FpuOp {
    StoreControl(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.store16(memory.linear(c, 2, true), c.fpu.control);
      return outcome(c);
    }
  }

  /** FNSTSW to memory or AX. */
  private static final class StoreStatus extends FpuOp {
    private final boolean toAx;

    StoreStatus(Instruction i) {
      super(i);
      toAx = !i.isMemory();
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      int word = c.fpu.statusWord();
      if (toAx) {
        c.gpr[Vcpu.RAX] = c.gpr[Vcpu.RAX] & ~0xFFFFL | word;
        return NEXT;
      }
      c.store16(memory.linear(c, 2, true), word);
      return outcome(c);
    }
  }
}
