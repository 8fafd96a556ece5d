package memvisor.cpu.x86;

/**
 * Far JMP, CALL and RET: code segments and call gates, at the same and at other privilege levels
 * (Intel SDM vol. 3A, 5.8). Task gates and TSS descriptors as targets raise #GP.
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
}
