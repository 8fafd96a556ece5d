package memvisor.cpu.x86;

/**
 * IRET, IRETD and IRETQ (Intel SDM vol. 2A, IRET). Nested tasks (NT) and returns to virtual-8086
 * mode are not supported and raise #GP(0).
 */
final class InterruptReturn {
  private static final int ALWAYS =
      Flags.STATUS | Flags.TF | Flags.DF | Flags.NT | Flags.AC | Flags.ID;

  private InterruptReturn() {}

  static int perform(Vcpu c, SystemOp op) {
    StackCursor stack = c.stack;
    stack.openCurrent(0);
    if (c.protectedMode && (c.flags.system & Flags.NT) != 0) {
      return c.raise(Vector.GP, 0);
    }
    int size = op.size;
    long rip = stack.pop(size);
    int selector = (int) stack.pop(size) & 0xFFFF;
    long image = stack.pop(size);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    return c.protectedMode
        ? protectedReturn(c, size, rip, selector, image)
        : realReturn(c, size, rip, selector, image);
  }

  private static int realReturn(Vcpu c, int size, long rip, int selector, long image) {
    if (rip > (c.segmentLimit[Vcpu.CS] & 0xFFFF_FFFFL)) {
      return c.raise(Vector.GP, 0);
    }
    c.stack.commit();
    Segments.setReal(c, Vcpu.CS, selector);
    c.rip = rip;
    setFlags(c, size, image, 0);
    return MicroOp.BRANCH;
  }

  private static int protectedReturn(Vcpu c, int size, long rip, int selector, long image) {
    boolean virtual8086 = size == 4 && !c.paging.longMode() && (image & Flags.VM) != 0;
    if (virtual8086 && c.cpl == 0) {
      return c.raise(Vector.GP, 0);
    }
    long code = FarTransfers.readReturnCode(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int newCpl = selector & 3;
    boolean popsStack = c.longMode || newCpl > c.cpl;
    long rsp = 0;
    int ss = 0;
    if (popsStack) {
      rsp = c.stack.pop(size);
      ss = (int) c.stack.pop(size) & 0xFFFF;
    }
    if (c.fault != 0 || !FarTransfers.checkTarget(c, code, rip)) {
      return MicroOp.FAULT;
    }
    int oldCpl = c.cpl;
    if (popsStack) {
      if (!FarTransfers.returnToStack(c, code, selector, ss, size == 8 ? -1L : 0xFFFF_FFFFL, rsp)) {
        return MicroOp.FAULT;
      }
    } else {
      c.stack.commit();
      Segments.setCode(c, selector, code, newCpl);
    }
    c.rip = rip;
    setFlags(c, size, image, oldCpl);
    return MicroOp.BRANCH;
  }

  /**
   * Loads the flags that {@code oldCpl} may change. RF is never kept: it would only hold off
   * instruction breakpoints, which do not exist here.
   */
  private static void setFlags(Vcpu c, int size, long image, int oldCpl) {
    int iopl = (int) (c.flags.system & Flags.IOPL) >>> 12;
    int changeable = ALWAYS;
    if (oldCpl == 0) {
      changeable |= Flags.IOPL | Flags.VIF | Flags.VIP;
    }
    if (oldCpl <= iopl) {
      changeable |= Flags.IF;
    }
    if (size == 2) {
      changeable &= 0xFFFF;
    }
    long old = c.flags.value();
    c.flags.setValue((old & ~(long) changeable | image & changeable) & ~(long) Flags.RF);
    if (((old ^ image) & changeable & Flags.AC) != 0) {
      c.privilegeChanged();
    }
  }
}
