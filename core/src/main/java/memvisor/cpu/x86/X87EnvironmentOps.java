package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * FNSTENV, FLDENV, FNSAVE and FRSTOR (Intel SDM vol. 1, 8.1.10): in the protected-mode formats of
 * 28 or 14 bytes, whose selectors are stored as 0; FNSAVE appends the eight registers.
 */
final class X87EnvironmentOps {
  private static final int REGISTER_BYTES = 10;

  private X87EnvironmentOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (!i.isMemory()) {
      return null;
    }
    return switch ((i.opcode & 7) << 4 | i.extension()) {
      case 0x14 -> new Load(i, false);
      case 0x16 -> new Store(i, false);
      case 0x54 -> new Load(i, true);
      case 0x56 -> new Store(i, true);
      default -> null;
    };
  }

  /** FNSTENV and FNSAVE: non-waiting. */
  private static final class Store extends FpuOp {
    private final boolean registers;
    private final int word;

    Store(Instruction i, boolean registers) {
      super(i);
      this.registers = registers;
      word = i.operandSize == 2 ? 2 : 4;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      int environment = 7 * word;
      int size = environment + (registers ? 8 * REGISTER_BYTES : 0);
      long gva = memory.linear(c, size, true);
      if (!c.checkWrite(gva, size)) {
        return FAULT;
      }
      FpuState f = c.fpu;
      // The upper halves of the three words are all ones in the 32-bit format.
      long ones = word == 4 ? 0xFFFF_0000L : 0;
      c.store(gva, word, ones | f.control);
      c.store(gva + word, word, ones | f.statusWord());
      c.store(gva + 2L * word, word, ones | f.tagWord());
      c.store(gva + 3L * word, word, f.lastInstruction);
      c.store(gva + 4L * word, word, word == 4 ? (long) f.lastOpcode << 16 : 0);
      c.store(gva + 5L * word, word, f.lastData);
      c.store(gva + 6L * word, word, ones);
      if (registers) {
        for (int i = 0; i < 8; i++) {
          int r = f.top + i & 7;
          c.store64(gva + environment + REGISTER_BYTES * i, f.significand[r]);
          c.store16(gva + environment + REGISTER_BYTES * i + 8, f.signExponent[r]);
        }
        f.initialize();
      } else {
        f.setControl(f.control | 0x3F);
      }
      return outcome(c);
    }
  }

  /** FLDENV and FRSTOR: waiting. */
  private static final class Load extends FpuOp {
    private final boolean registers;
    private final int word;

    Load(Instruction i, boolean registers) {
      super(i);
      this.registers = registers;
      word = i.operandSize == 2 ? 2 : 4;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (c.fpu.exceptionPending()) {
        return c.raise(FLOATING_POINT_ERROR, 0);
      }
      int environment = 7 * word;
      int size = environment + (registers ? 8 * REGISTER_BYTES : 0);
      long gva = memory.linear(c, size, false);
      if (!c.checkRead(gva, size)) {
        return FAULT;
      }
      FpuState f = c.fpu;
      f.setStatusWord((int) c.load16(gva + word));
      f.setControl((int) c.load16(gva));
      f.setTagWord((int) c.load16(gva + 2L * word));
      f.lastInstruction = c.load(gva + 3L * word, word);
      f.lastOpcode = word == 4 ? (int) (c.load32(gva + 16) >>> 16) & 0x7FF : 0;
      f.lastData = c.load(gva + 5L * word, word);
      for (int i = 0; registers && i < 8; i++) {
        int r = f.top + i & 7;
        f.significand[r] = c.load64(gva + environment + REGISTER_BYTES * i);
        f.signExponent[r] = (int) c.load16(gva + environment + REGISTER_BYTES * i + 8);
      }
      return outcome(c);
    }
  }
}
