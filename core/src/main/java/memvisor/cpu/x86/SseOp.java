package memvisor.cpu.x86;

/**
 * An operation on XMM registers: checks that they may be used, and reads and writes 16-byte
 * operands.
 */
abstract class SseOp extends MicroOp {
  static final int INVALID_OPCODE = 6;
  static final int DEVICE_NOT_AVAILABLE = 7;
  static final int GENERAL_PROTECTION = 13;
  static final int SIMD_EXCEPTION = 19;

  private static final long CR0_EM = 1L << 2;
  private static final long CR0_TS = 1L << 3;
  private static final long CR4_OSFXSR = 1L << 9;
  private static final long CR4_OSXMMEXCPT = 1L << 10;

  /** {@link #source} of a memory operand. */
  static final int MEMORY = -1;

  private static final EffectiveAddress NOWHERE =
      new EffectiveAddress(Vcpu.ZERO, Vcpu.ZERO, 0, 0, Vcpu.DS, -1L, false);

  /** Index of ModRM.reg's low half in {@link Vcpu#xmm}. */
  final int target;

  /** Index of ModRM.rm's low half in {@link Vcpu#xmm}, or {@link #MEMORY}. */
  final int source;

  final EffectiveAddress memory;

  SseOp(Instruction i) {
    super(i.offset, i.length);
    target = 2 * i.reg;
    source = i.isMemory() ? MEMORY : 2 * i.rm;
    memory = i.isMemory() ? i.address() : NOWHERE;
  }

  /** Whether CR0 and CR4 forbid SSE; {@link #denied} then raises what they ask for. */
  static boolean unavailable(Vcpu c) {
    return (c.paging.cr0() & (CR0_EM | CR0_TS)) != 0 || (c.paging.cr4() & CR4_OSFXSR) == 0;
  }

  static int denied(Vcpu c) {
    boolean invalid = (c.paging.cr0() & CR0_EM) != 0 || (c.paging.cr4() & CR4_OSFXSR) == 0;
    return c.raise(invalid ? INVALID_OPCODE : DEVICE_NOT_AVAILABLE, 0);
  }

  /** #XM, or #UD where the system does not handle it (CR4.OSXMMEXCPT). */
  static int simdException(Vcpu c) {
    boolean handled = (c.paging.cr4() & CR4_OSXMMEXCPT) != 0;
    return c.raise(handled ? SIMD_EXCEPTION : INVALID_OPCODE, 0);
  }

  /** Reads the 16-byte source, aligned in memory, to {@code fpu.low} and {@code fpu.high}. */
  final boolean read(Vcpu c) {
    return read(c, 15);
  }

  /** As {@link #read(Vcpu)}, at any alignment. */
  final boolean readUnaligned(Vcpu c) {
    return read(c, 0);
  }

  private boolean read(Vcpu c, int alignmentMask) {
    FpuState f = c.fpu;
    if (source >= 0) {
      f.low = c.xmm[source];
      f.high = c.xmm[source + 1];
      return true;
    }
    long gva = memory.linear(c, 16, false);
    if ((gva & alignmentMask) != 0) {
      c.raise(GENERAL_PROTECTION, 0);
      return false;
    }
    f.low = c.load64(gva);
    if (c.fault != 0) {
      return false;
    }
    f.high = c.load64(gva + 8);
    return c.fault == 0;
  }

  /** Reads the low {@code sizeBytes} (1, 2, 4 or 8) of the source; the caller tests the fault. */
  final long readLow(Vcpu c, int sizeBytes) {
    if (source >= 0) {
      return c.xmm[source];
    }
    return load(c, memory.linear(c, sizeBytes, false), sizeBytes);
  }

  static long load(Vcpu c, long gva, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> c.load8(gva);
      case 2 -> c.load16(gva);
      case 4 -> c.load32(gva);
      default -> c.load64(gva);
    };
  }

  static void store(Vcpu c, long gva, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> c.store8(gva, value);
      case 2 -> c.store16(gva, value);
      case 4 -> c.store32(gva, value);
      default -> c.store64(gva, value);
    }
  }

  /** Stores 16 bytes, or faults having stored none. */
  final int store(Vcpu c, long gva, long low, long high) {
    c.store128(gva, low, high);
    return c.fault != 0 ? FAULT : NEXT;
  }

  static int outcome(Vcpu c) {
    return c.fault != 0 ? FAULT : NEXT;
  }
}
