package memvisor.cpu.x86;

/**
 * GDTR, IDTR, LDTR and TR, and the instructions that look at descriptors (LAR, LSL, VERR, VERW).
 */
final class TableOps {
  private TableOps() {}

  // ---- GDTR and IDTR -----------------------------------------------------------------------

  static int sgdt(Vcpu c, SystemOp op) {
    return store(c, op, c.gdtLimit, c.gdtBase);
  }

  static int sidt(Vcpu c, SystemOp op) {
    return store(c, op, c.idtLimit, c.idtBase);
  }

  private static int store(Vcpu c, SystemOp op, int limit, long base) {
    int baseBytes = c.longMode ? 8 : 4;
    long gva = op.linear(c, 2 + baseBytes, true);
    if (c.fault == 0) {
      c.store16(gva, limit);
    }
    if (c.fault == 0) {
      SystemOp.storeAt(c, gva + 2, baseBytes, base);
    }
    return c.fault == 0 ? MicroOp.NEXT : MicroOp.FAULT;
  }

  static int lgdt(Vcpu c, SystemOp op) {
    return load(c, op, true);
  }

  static int lidt(Vcpu c, SystemOp op) {
    return load(c, op, false);
  }

  private static int load(Vcpu c, SystemOp op, boolean global) {
    if (c.cpl != 0) {
      return c.raise(Vector.GP, 0);
    }
    int baseBytes = c.longMode ? 8 : 4;
    long gva = op.linear(c, 2 + baseBytes, false);
    int limit = c.fault != 0 ? 0 : (int) c.load16(gva);
    long base = c.fault != 0 ? 0 : SystemOp.loadAt(c, gva + 2, baseBytes);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    if (!c.isCanonicalForRegisters(base)) {
      return c.raise(Vector.GP, 0);
    }
    if (op.size == 2) {
      base &= 0xFF_FFFF;
    }
    if (global) {
      c.gdtBase = base;
      c.gdtLimit = limit;
    } else {
      c.idtBase = base;
      c.idtLimit = limit;
    }
    return MicroOp.NEXT;
  }
}
