package memvisor.cpu.x86;

/** An operation on x87 state, with or without a memory operand. */
abstract class FpuOp extends MicroOp {
  static final int INVALID_OPCODE = 6;
  static final int DEVICE_NOT_AVAILABLE = 7;
  static final int GENERAL_PROTECTION = 13;
  static final int FLOATING_POINT_ERROR = 16;

  private static final long CR0_MP = 1L << 1;
  private static final long CR0_EM = 1L << 2;
  private static final long CR0_TS = 1L << 3;

  private static final EffectiveAddress NOWHERE =
      new EffectiveAddress(Vcpu.ZERO, Vcpu.ZERO, 0, 0, Vcpu.DS, -1L, false);

  final EffectiveAddress memory;

  FpuOp(Instruction i) {
    super(i.offset, i.length);
    memory = i.isMemory() ? i.address() : NOWHERE;
  }

  /** Whether CR0.EM or CR0.TS demand #NM (SDM vol. 3A, table 2-2). */
  static boolean unavailable(Vcpu c) {
    return (c.paging.cr0() & (CR0_EM | CR0_TS)) != 0;
  }

  /** Whether FWAIT raises #NM: CR0.MP and CR0.TS. */
  static boolean waitUnavailable(Vcpu c) {
    return (c.paging.cr0() & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS);
  }

  static int denied(Vcpu c) {
    return c.raise(DEVICE_NOT_AVAILABLE, 0);
  }

  static int outcome(Vcpu c) {
    return c.fault != 0 ? FAULT : NEXT;
  }
}
