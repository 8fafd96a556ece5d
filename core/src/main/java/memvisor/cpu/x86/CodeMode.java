package memvisor.cpu.x86;

/** The state that decides how bytes decode, packed into an int that is part of a block's key. */
final class CodeMode {
  /** 64-bit code segment. */
  static final int LONG = 1;

  /** CS.D: 32-bit operands and addresses by default. */
  static final int DEFAULT32 = 1 << 1;

  /** SS.B: the stack pointer is ESP. */
  static final int STACK32 = 1 << 2;

  /** CR0.PE. */
  static final int PROTECTED = 1 << 3;

  /** CPL, two bits. */
  static final int CPL_SHIFT = 4;

  private CodeMode() {}

  static int of(Vcpu c) {
    boolean stack32 = !c.longMode && (c.segmentAttributes[Vcpu.SS] & Descriptors.BIG) != 0;
    return (c.longMode ? LONG : 0)
        | (c.default32 ? DEFAULT32 : 0)
        | (stack32 ? STACK32 : 0)
        | (c.protectedMode ? PROTECTED : 0)
        | c.cpl << CPL_SHIFT;
  }

  static void describe(int mode, Instruction i) {
    i.longMode = (mode & LONG) != 0;
    i.default32 = (mode & DEFAULT32) != 0;
    i.protectedMode = (mode & PROTECTED) != 0;
    i.cpl = mode >>> CPL_SHIFT & 3;
    i.stackAddressSize = i.longMode ? 8 : (mode & STACK32) != 0 ? 4 : 2;
  }
}
