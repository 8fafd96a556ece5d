package memvisor.cpu.x86;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Group 15 (0F AE): FXSAVE, FXRSTOR, XSAVE, XRSTOR, MXCSR, and the fences and CLFLUSH, which have
 * nothing to do here.
 *
 * <p>The 512-byte image is SDM vol. 1, table 10-2; the XSAVE header follows it (13.4).
 */
final class FpuSaveOps {
  /** XCR0 bits that XSAVE can be given here: x87 and SSE. */
  static final long XCR0_SUPPORTED = 3;

  /** Size in bytes of an XSAVE area with x87 and SSE: the legacy region and the header. */
  static final int XSAVE_AREA_BYTES = 576;

  private static final int LEGACY_BYTES = 512;
  private static final int HEADER_BYTES = 64;
  private static final long X87 = 1;
  private static final long SSE = 2;
  private static final long CR4_OSXSAVE = 1L << 18;

  private FpuSaveOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.prefix != Instruction.PREFIX_NONE || i.lock) {
      return null;
    }
    if (!i.isMemory()) {
      return i.extension() >= 5 ? new Fence(i) : null;
    }
    return switch (i.extension()) {
      case 0 -> new Fxsave(i);
      case 1 -> new Fxrstor(i);
      case 2 -> new Ldmxcsr(i);
      case 3 -> new Stmxcsr(i);
      case 4, 6 -> new Xsave(i);
      case 5 -> new Xrstor(i);
      default -> new Fence(i);
    };
  }

  // ---- the legacy region ---------------------------------------------------------------------

  private static void saveX87(Vcpu c, long gva, boolean wide) {
    FpuState f = c.fpu;
    c.store64(
        gva,
        f.control
            | (long) f.statusWord() << 16
            | (long) f.abridgedTags() << 32
            | (long) f.lastOpcode << 48);
    c.store64(gva + 8, wide ? f.lastInstruction : f.lastInstruction & 0xFFFF_FFFFL);
    c.store64(gva + 16, wide ? f.lastData : f.lastData & 0xFFFF_FFFFL);
    for (int i = 0; i < 8; i++) {
      int register = f.top + i & 7;
      c.store64(gva + 32 + 16 * i, f.significand[register]);
      c.store64(gva + 40 + 16 * i, f.signExponent[register] & 0xFFFF);
    }
  }

  private static void restoreX87(Vcpu c, long gva, boolean wide) {
    FpuState f = c.fpu;
    long head = c.load64(gva);
    f.setStatusWord((int) (head >>> 16) & 0xFFFF);
    f.setControl((int) head & 0xFFFF);
    f.setAbridgedTags((int) (head >>> 32) & 0xFF);
    f.lastOpcode = (int) (head >>> 48) & 0x7FF;
    long mask = wide ? -1L : 0xFFFF_FFFFL;
    f.lastInstruction = c.load64(gva + 8) & mask;
    f.lastData = c.load64(gva + 16) & mask;
    for (int i = 0; i < 8; i++) {
      int register = f.top + i & 7;
      f.significand[register] = c.load64(gva + 32 + 16 * i);
      f.signExponent[register] = (int) c.load64(gva + 40 + 16 * i) & 0xFFFF;
    }
  }

  private static void saveXmm(Vcpu c, long gva, int count) {
    for (int i = 0; i < 2 * count; i++) {
      c.store64(gva + 160 + 8 * i, c.xmm[i]);
    }
  }

  private static void restoreXmm(Vcpu c, long gva, int count) {
    for (int i = 0; i < 2 * count; i++) {
      c.xmm[i] = c.load64(gva + 160 + 8 * i);
    }
  }

  private static void saveMxcsr(Vcpu c, long gva) {
    c.store64(gva + 24, c.fpu.mxcsr | (long) FpuState.MXCSR_MASK << 32);
  }

  /** Makes sure that every byte of an area can be read or written before anything changes. */
  private static boolean accessible(Vcpu c, long gva, int sizeBytes, boolean write) {
    for (long at : new long[] {gva, gva + sizeBytes - 1}) {
      if (write) {
        c.loadForWrite(at, 1);
      } else {
        c.load8(at);
      }
      if (c.fault != 0) {
        return false;
      }
    }
    return true;
  }

  /** What the four state-saving operations have in common. */
  private abstract static class StateOp extends FpuOp {
    final boolean wide;
    final int xmmCount;

    StateOp(Instruction i) {
      super(i);
      wide = i.operandSize == 8;
      xmmCount = i.longMode ? 16 : 8;
    }
  }

  private static final class Fxsave extends StateOp {
    Fxsave(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, LEGACY_BYTES, true);
      if ((gva & 15) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      if (!accessible(c, gva, LEGACY_BYTES, true)) {
        return FAULT;
      }
      saveX87(c, gva, wide);
      saveMxcsr(c, gva);
      saveXmm(c, gva, xmmCount);
      return outcome(c);
    }
  }

  private static final class Fxrstor extends StateOp {
    Fxrstor(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, LEGACY_BYTES, false);
      if ((gva & 15) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      if (!accessible(c, gva, LEGACY_BYTES, false)) {
        return FAULT;
      }
      int mxcsr = (int) c.load32(gva + 24);
      if ((mxcsr & ~FpuState.MXCSR_MASK) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      c.fpu.mxcsr = mxcsr;
      restoreX87(c, gva, wide);
      restoreXmm(c, gva, xmmCount);
      return outcome(c);
    }
  }

  /** XSAVE and XSAVEOPT, which saves what XSAVE would. */
  private static final class Xsave extends StateOp {
    Xsave(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if ((c.paging.cr4() & CR4_OSXSAVE) == 0) {
        return c.raise(INVALID_OPCODE, 0);
      }
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, XSAVE_AREA_BYTES, true);
      if ((gva & 63) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      if (!accessible(c, gva, LEGACY_BYTES + HEADER_BYTES, true)) {
        return FAULT;
      }
      long requested = requested(c);
      if ((requested & X87) != 0) {
        saveX87(c, gva, wide);
      }
      if ((requested & SSE) != 0) {
        saveMxcsr(c, gva);
        saveXmm(c, gva, xmmCount);
      }
      long header = c.load64(gva + LEGACY_BYTES);
      c.store64(gva + LEGACY_BYTES, header & ~requested | requested);
      return outcome(c);
    }
  }

  private static final class Xrstor extends StateOp {
    Xrstor(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if ((c.paging.cr4() & CR4_OSXSAVE) == 0) {
        return c.raise(INVALID_OPCODE, 0);
      }
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, XSAVE_AREA_BYTES, false);
      if ((gva & 63) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      if (!accessible(c, gva, LEGACY_BYTES + HEADER_BYTES, false)) {
        return FAULT;
      }
      long present = c.load64(gva + LEGACY_BYTES);
      long compacted = c.load64(gva + LEGACY_BYTES + 8) | c.load64(gva + LEGACY_BYTES + 16);
      int mxcsr = (int) c.load32(gva + 24);
      boolean valid = (present & ~c.xcr0) == 0 && compacted == 0;
      boolean loadsSse = (requested(c) & SSE) != 0;
      if (!valid || loadsSse && (mxcsr & ~FpuState.MXCSR_MASK) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      restore(c, gva, present, mxcsr);
      return outcome(c);
    }

    private void restore(Vcpu c, long gva, long present, int mxcsr) {
      long requested = requested(c);
      if ((requested & X87) != 0) {
        if ((present & X87) != 0) {
          restoreX87(c, gva, wide);
        } else {
          c.fpu.initialize();
          Arrays.fill(c.fpu.significand, 0);
          Arrays.fill(c.fpu.signExponent, 0);
        }
      }
      if ((requested & SSE) != 0) {
        c.fpu.mxcsr = mxcsr;
        if ((present & SSE) != 0) {
          restoreXmm(c, gva, xmmCount);
        } else {
          Arrays.fill(c.xmm, 0, 2 * xmmCount, 0);
        }
      }
    }
  }

  /** The requested-feature bitmap: XCR0 and EDX:EAX. */
  private static long requested(Vcpu c) {
    long mask = c.gpr[Vcpu.RAX] & 0xFFFF_FFFFL | c.gpr[Vcpu.RDX] << 32;
    return c.xcr0 & mask;
  }

  private static final class Ldmxcsr extends SseOp {
    Ldmxcsr(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      int value = (int) c.load32(memory.linear(c, 4, false));
      if (c.fault != 0) {
        return FAULT;
      }
      if ((value & ~FpuState.MXCSR_MASK) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      c.fpu.mxcsr = value;
      return NEXT;
    }
  }

  private static final class Stmxcsr extends SseOp {
    Stmxcsr(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.store32(memory.linear(c, 4, true), c.fpu.mxcsr);
      return outcome(c);
    }
  }

  /** LFENCE, MFENCE, SFENCE, CLFLUSH: memory is coherent and accesses are in order. */
  private static final class Fence extends FpuOp {
    private final boolean flush;

    Fence(Instruction i) {
      super(i);
      flush = i.isMemory();
    }

    @Override
    int execute(Vcpu c) {
      if (flush) {
        c.load8(memory.linear(c));
      }
      return outcome(c);
    }
  }
}
