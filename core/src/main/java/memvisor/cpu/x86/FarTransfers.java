package memvisor.cpu.x86;

/**
 * Far JMP, CALL and RET: code segments and call gates, at the same and at an outer privilege level
 * (Intel SDM vol. 3A, 5.8). Inner levels are reached by {@link CallGates}.
 */
final class FarTransfers {
  private FarTransfers() {}

  // ---- checks ------------------------------------------------------------------------------

  /** Reads and checks the code segment that a far RET or IRET returns to. */
  static long readReturnCode(Vcpu c, int selector) {
    if (Segments.isNull(selector)) {
      c.raise(Vector.GP, 0);
      return 0;
    }
    long raw = Segments.readDescriptor(c, selector, 0);
    if (c.fault != 0) {
      return 0;
    }
    int attributes = Descriptors.attributes(raw);
    int rpl = selector & 3;
    int dpl = Descriptors.dpl(attributes);
    boolean level = Descriptors.isConforming(attributes) ? dpl <= rpl : dpl == rpl;
    if (!Descriptors.isCode(attributes) || rpl < c.cpl || !level || wrongSize(c, attributes)) {
      c.raise(Vector.GP, selector & 0xFFFC);
    } else if (!Descriptors.present(attributes)) {
      c.raise(Vector.NP, selector & 0xFFFC);
    } else {
      Segments.setAccessed(c, selector, raw);
    }
    return raw;
  }

  /** L and D both set in IA-32e mode. */
  private static boolean wrongSize(Vcpu c, int attributes) {
    int both = Descriptors.LONG | Descriptors.BIG;
    return c.paging.longMode() && (attributes & both) == both;
  }

  private static boolean isLong(Vcpu c, int attributes) {
    return c.paging.longMode() && (attributes & Descriptors.LONG) != 0;
  }

  /** Whether {@code rip} is a valid target in a code segment; else #GP(0) is pending. */
  static boolean checkTarget(Vcpu c, long code, long rip) {
    boolean valid =
        isLong(c, Descriptors.attributes(code))
            ? Segments.isCanonical(c, rip)
            : (rip & 0xFFFF_FFFFL) <= (Descriptors.limit(code) & 0xFFFF_FFFFL);
    if (!valid) {
      c.raise(Vector.GP, 0);
    }
    return valid;
  }

  /**
   * Loads CS and SS:RSP for a return that pops a stack, at the same or an outer level; on failure a
   * fault is pending and nothing changed.
   *
   * @param mask the bits of {@code rsp} that were popped
   */
  static boolean returnToStack(Vcpu c, long code, int selector, int ss, long mask, long rsp) {
    int newCpl = selector & 3;
    boolean toLong = isLong(c, Descriptors.attributes(code));
    boolean nullStack = Segments.isNull(ss);
    long raw = 0;
    if (nullStack) {
      if (!toLong || newCpl == 3 || (ss & 3) != newCpl) {
        c.raise(Vector.GP, 0);
      }
    } else {
      raw = Segments.readStackDescriptor(c, ss, newCpl, Vector.GP, 0);
    }
    if (c.fault != 0 || !nullStack && !Segments.setAccessed(c, ss, raw)) {
      return false;
    }
    boolean outer = newCpl > c.cpl;
    Segments.setCode(c, selector, code, newCpl);
    if (nullStack) {
      Segments.setNull(c, Vcpu.SS, ss);
    } else {
      Segments.set(c, Vcpu.SS, ss, raw);
    }
    boolean narrow = !toLong && (Descriptors.attributes(raw) & Descriptors.BIG) == 0;
    c.gpr[Vcpu.RSP] = narrow ? c.gpr[Vcpu.RSP] & ~0xFFFFL | rsp & 0xFFFF : rsp & mask;
    if (outer) {
      Segments.dropPrivilegedData(c, newCpl);
    }
    return true;
  }

  // ---- far RET -----------------------------------------------------------------------------

  /** RETF and RETF n; the immediate is the bytes of parameters to release. */
  static int farReturn(Vcpu c, SystemOp op) {
    StackCursor stack = c.stack;
    stack.openCurrent(0);
    int size = op.size;
    long rip = stack.pop(size);
    int selector = (int) stack.pop(size) & 0xFFFF;
    stack.release(op.immediate);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    if (!c.protectedMode) {
      return realTransfer(c, selector, rip, true);
    }
    long code = readReturnCode(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    boolean outer = (selector & 3) > c.cpl;
    long rsp = 0;
    int ss = 0;
    if (outer) {
      rsp = stack.pop(size) + op.immediate;
      ss = (int) stack.pop(size) & 0xFFFF;
    }
    if (c.fault != 0 || !checkTarget(c, code, rip)) {
      return MicroOp.FAULT;
    }
    if (!outer) {
      stack.commit();
      Segments.setCode(c, selector, code, c.cpl);
    } else if (!returnToStack(c, code, selector, ss, size == 8 ? -1L : 0xFFFF_FFFFL, rsp)) {
      return MicroOp.FAULT;
    }
    c.rip = rip;
    return MicroOp.BRANCH;
  }

  // ---- far JMP and CALL --------------------------------------------------------------------

  /** JMP ptr16:16 or ptr16:32; the immediate is the selector (bits 47–32) and the offset. */
  static int jumpImmediate(Vcpu c, SystemOp op) {
    return transfer(c, op, (int) (op.immediate >>> 32), op.immediate & 0xFFFF_FFFFL, false);
  }

  /** CALL ptr16:16 or ptr16:32. */
  static int callImmediate(Vcpu c, SystemOp op) {
    return transfer(c, op, (int) (op.immediate >>> 32), op.immediate & 0xFFFF_FFFFL, true);
  }

  /** JMP m16:16, m16:32 or m16:64. */
  static int jumpMemory(Vcpu c, SystemOp op) {
    return memoryTransfer(c, op, false);
  }

  /** CALL m16:16, m16:32 or m16:64. */
  static int callMemory(Vcpu c, SystemOp op) {
    return memoryTransfer(c, op, true);
  }

  private static int memoryTransfer(Vcpu c, SystemOp op, boolean call) {
    long gva = op.linear(c, op.size + 2, false);
    long offset = c.fault != 0 ? 0 : c.load(gva, op.size);
    int selector = c.fault != 0 ? 0 : (int) c.load16(gva + op.size);
    return c.fault != 0 ? MicroOp.FAULT : transfer(c, op, selector, offset, call);
  }

  private static int transfer(Vcpu c, SystemOp op, int selector, long offset, boolean call) {
    if (!c.protectedMode) {
      if (call) {
        pushReturn(c, op.size, op.nextRip(c));
      }
      return c.fault != 0 ? MicroOp.FAULT : realTransfer(c, selector, offset, call);
    }
    if (Segments.isNull(selector)) {
      return c.raise(Vector.GP, 0);
    }
    long raw = Segments.readDescriptor(c, selector, 0);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int attributes = Descriptors.attributes(raw);
    if ((attributes & Descriptors.CODE_OR_DATA) == 0) {
      return CallGates.transfer(c, op, selector, raw, call);
    }
    if (!checkDirect(c, selector, attributes) || !checkTarget(c, raw, offset)) {
      return MicroOp.FAULT;
    }
    if (call) {
      pushReturn(c, op.size, op.nextRip(c));
    }
    return c.fault != 0 ? MicroOp.FAULT : enter(c, selector, raw, offset, call);
  }

  private static int realTransfer(Vcpu c, int selector, long offset, boolean stackUsed) {
    if (offset > (c.segmentLimit[Vcpu.CS] & 0xFFFF_FFFFL)) {
      return c.raise(Vector.GP, 0);
    }
    if (stackUsed) {
      c.stack.commit();
    }
    Segments.setReal(c, Vcpu.CS, selector);
    c.rip = offset;
    return MicroOp.BRANCH;
  }

  /** Privilege and presence of a code segment that is named directly (5.8.1). */
  private static boolean checkDirect(Vcpu c, int selector, int attributes) {
    int dpl = Descriptors.dpl(attributes);
    boolean level =
        Descriptors.isConforming(attributes)
            ? dpl <= c.cpl
            : dpl == c.cpl && (selector & 3) <= c.cpl;
    if (!Descriptors.isCode(attributes) || !level || wrongSize(c, attributes)) {
      c.raise(Vector.GP, selector & 0xFFFC);
    } else if (!Descriptors.present(attributes)) {
      c.raise(Vector.NP, selector & 0xFFFC);
    }
    return c.fault == 0;
  }

  /** Pushes CS and the return address on the running stack, without moving its pointer yet. */
  static void pushReturn(Vcpu c, int sizeBytes, long returnRip) {
    c.stack.openCurrent(0);
    c.stack.push(c.segmentSelector[Vcpu.CS], sizeBytes);
    c.stack.push(returnRip, sizeBytes);
  }

  /** Completes a transfer at the same level whose stack, if used, was written. */
  static int enter(Vcpu c, int selector, long code, long offset, boolean stackUsed) {
    if (!Segments.setAccessed(c, selector, code)) {
      return MicroOp.FAULT;
    }
    if (stackUsed) {
      c.stack.commit();
    }
    Segments.setCode(c, selector, code, c.cpl);
    c.rip = offset;
    return MicroOp.BRANCH;
  }
}
