package memvisor.cpu.x86;

/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT, as Intel processors do them: SYSCALL and SYSRET in 64-bit
 * code only (Intel SDM vol. 2B).
 */
final class FastCalls {
  private static final int FLAT_LIMIT = -1;
  private static final int CODE64 = 0xA09B;
  private static final int CODE32 = 0xC09B;
  private static final int DATA = 0xC093;
  private static final int USER = 3 << 5;
  private static final long SYSRET_FLAGS = 0x3C_7FD7;

  private FastCalls() {}

  static int syscall(Vcpu c, SystemOp op) {
    if (!c.longMode || (c.paging.efer() & Msrs.EFER_SCE) == 0) {
      return c.raise(Vector.UD, 0);
    }
    SupervisorPort supervisor = c.supervisor;
    if (supervisor != null) {
      supervisor.systemCall(op.nextRip(c));
      return MicroOp.BRANCH;
    }
    c.gpr[Vcpu.RCX] = op.nextRip(c);
    c.gpr[11] = c.flags.value() & ~(long) Flags.RF;
    c.flags.setValue(c.gpr[11] & ~c.msrs.fmask);
    int selector = (int) (c.msrs.star >>> 32) & 0xFFFC;
    c.rip = c.msrs.lstar;
    enter(c, selector, CODE64, 0);
    return MicroOp.BRANCH;
  }

  static int sysret(Vcpu c, SystemOp op) {
    if (!c.longMode || (c.paging.efer() & Msrs.EFER_SCE) == 0) {
      return c.raise(Vector.UD, 0);
    }
    boolean wide = op.size == 8;
    long rip = wide ? c.gpr[Vcpu.RCX] : c.gpr[Vcpu.RCX] & 0xFFFF_FFFFL;
    if (c.cpl != 0 || wide && !Segments.isCanonical(c, rip)) {
      return c.raise(Vector.GP, 0);
    }
    c.flags.setValue(c.gpr[11] & SYSRET_FLAGS);
    int base = (int) (c.msrs.star >>> 48) & 0xFFFF;
    c.rip = rip;
    leave(c, (wide ? base + 16 : base) | 3, base + 8 | 3, wide);
    return MicroOp.BRANCH;
  }

  static int sysenter(Vcpu c, SystemOp op) {
    SupervisorPort supervisor = c.supervisor;
    if (supervisor != null) {
      supervisor.fastSystemCall();
      return MicroOp.BRANCH;
    }
    int selector = (int) c.msrs.sysenterCs & 0xFFFC;
    if (!c.protectedMode || selector == 0) {
      return c.raise(Vector.GP, 0);
    }
    boolean wide = c.paging.longMode();
    long mask = wide ? -1L : 0xFFFF_FFFFL;
    c.flags.system &= ~(long) (Flags.VM | Flags.IF | Flags.RF);
    c.gpr[Vcpu.RSP] = c.msrs.sysenterEsp & mask;
    c.rip = c.msrs.sysenterEip & mask;
    enter(c, selector, wide ? CODE64 : CODE32, 0);
    return MicroOp.BRANCH;
  }

  static int sysexit(Vcpu c, SystemOp op) {
    int base = (int) c.msrs.sysenterCs & 0xFFFC;
    if (!c.protectedMode || base == 0 || c.cpl != 0) {
      return c.raise(Vector.GP, 0);
    }
    boolean wide = op.size == 8;
    long mask = wide ? -1L : 0xFFFF_FFFFL;
    long rip = c.gpr[Vcpu.RDX] & mask;
    long rsp = c.gpr[Vcpu.RCX] & mask;
    if (wide && !(Segments.isCanonical(c, rip) && Segments.isCanonical(c, rsp))) {
      return c.raise(Vector.GP, 0);
    }
    c.gpr[Vcpu.RSP] = rsp;
    c.rip = rip;
    int selector = base + (wide ? 32 : 16);
    leave(c, selector | 3, selector + 8 | 3, wide);
    return MicroOp.BRANCH;
  }

  private static void enter(Vcpu c, int selector, int codeAttributes, int cpl) {
    int oldCpl = c.cpl;
    Segments.putCode(c, selector, 0, FLAT_LIMIT, codeAttributes, cpl);
    Segments.put(c, Vcpu.SS, selector + 8, 0, FLAT_LIMIT, DATA);
    if (oldCpl == cpl) {
      c.privilegeChanged();
    }
  }

  private static void leave(Vcpu c, int codeSelector, int stackSelector, boolean wide) {
    Segments.putCode(c, codeSelector, 0, FLAT_LIMIT, (wide ? CODE64 : CODE32) | USER, 3);
    Segments.put(c, Vcpu.SS, stackSelector, 0, FLAT_LIMIT, DATA | USER);
  }
}
