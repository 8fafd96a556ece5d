package memvisor.cpu.x86;

/** MOV, PUSH and POP of segment registers, and LDS, LES, LFS, LGS, LSS. */
final class SegmentOps {
  private SegmentOps() {}

  /** MOV r/m16, Sreg; {@link SystemOp#reg} is the segment. */
  static int store(Vcpu c, SystemOp op) {
    return op.writeWord(c, c.segmentSelector[op.reg]);
  }

  /** MOV Sreg, r/m16. */
  static int load(Vcpu c, SystemOp op) {
    int selector = op.readWord(c);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    return loaded(c, op.reg, Segments.load(c, op.reg, selector));
  }

  /** PUSH Sreg; the segment is the immediate. */
  static int push(Vcpu c, SystemOp op) {
    StackCursor stack = c.stack;
    stack.openCurrent(0);
    stack.push(c.segmentSelector[(int) op.immediate], op.stackSize);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    stack.commit();
    return MicroOp.NEXT;
  }

  /** POP Sreg; the segment is the immediate. */
  static int pop(Vcpu c, SystemOp op) {
    int segment = (int) op.immediate;
    StackCursor stack = c.stack;
    stack.openCurrent(0);
    int selector = (int) stack.pop(op.stackSize) & 0xFFFF;
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int outcome = Segments.load(c, segment, selector);
    if (outcome != MicroOp.FAULT) {
      stack.commit();
    }
    return loaded(c, segment, outcome);
  }

  /** LDS … LSS: the segment is the immediate, the offset goes to {@link SystemOp#reg}. */
  static int loadPointer(Vcpu c, SystemOp op) {
    long gva = op.linear(c, op.size + 2, false);
    long offset = c.fault != 0 ? 0 : c.load(gva, op.size);
    int selector = c.fault != 0 ? 0 : (int) c.load16(gva + op.size);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int segment = (int) op.immediate;
    int outcome = Segments.load(c, segment, selector);
    if (outcome != MicroOp.FAULT) {
      SystemOp.writeRegister(c, op.reg, op.size, offset);
    }
    return segment == Vcpu.SS && outcome != MicroOp.FAULT ? MicroOp.END : outcome;
  }

  /** A load of SS holds interrupts off for one instruction and may change the stack's width. */
  private static int loaded(Vcpu c, int segment, int outcome) {
    if (segment != Vcpu.SS || outcome == MicroOp.FAULT) {
      return outcome;
    }
    c.interruptShadow = true;
    return MicroOp.END;
  }
}
