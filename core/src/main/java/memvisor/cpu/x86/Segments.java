package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/**
 * Loads of segment registers, and the mode that they and the control registers put the processor in
 * (Intel SDM vol. 3A, 3.4, 5.5–5.8).
 *
 * <p>A load checks everything before it changes anything. In 64-bit code the bases of ES, CS, SS
 * and DS count as 0 whatever their descriptors said.
 */
final class Segments {
  private Segments() {}

  // ---- descriptor tables -------------------------------------------------------------------

  /**
   * Linear address of the descriptor that a non-null selector names. Beyond the table's limit it
   * leaves {@code vector}(selector | ext) pending.
   */
  static long descriptorAddress(Vcpu c, int selector, int vector, int ext) {
    if (!inTable(c, selector, 8)) {
      c.raise(vector, selector & 0xFFFC | ext);
      return 0;
    }
    boolean local = (selector & 4) != 0;
    long address = (local ? c.segmentBase[Vcpu.LDTR] : c.gdtBase) + (selector & ~7);
    return c.paging.longMode() ? address : address & 0xFFFF_FFFFL;
  }

  /** Whether the table holds {@code sizeBytes} of a descriptor at the selector's place. */
  static boolean inTable(Vcpu c, int selector, int sizeBytes) {
    boolean local = (selector & 4) != 0;
    long limit = (local ? c.segmentLimit[Vcpu.LDTR] : c.gdtLimit) & 0xFFFF_FFFFL;
    boolean exists = !local || c.segmentAttributes[Vcpu.LDTR] != 0;
    return exists && (selector & ~7) + sizeBytes - 1 <= limit;
  }

  /** The raw descriptor of a non-null selector; #GP(selector | ext) pending if there is none. */
  static long readDescriptor(Vcpu c, int selector, int ext) {
    long address = descriptorAddress(c, selector, Vector.GP, ext);
    return c.fault != 0 ? 0 : c.loadSystem(address, 8);
  }

  /** Sets a descriptor's accessed bit unless it is set; false if that faulted. */
  static boolean setAccessed(Vcpu c, int selector, long raw) {
    if ((raw >>> 40 & Descriptors.ACCESSED) != 0) {
      return true;
    }
    long address = descriptorAddress(c, selector, Vector.GP, 0);
    c.storeSystem(address + 5, 1, raw >>> 40 & 0xFF | Descriptors.ACCESSED);
    return c.fault == 0;
  }

  static boolean isNull(int selector) {
    return (selector & 0xFFFC) == 0;
  }

  // ---- MOV, POP, LxS -----------------------------------------------------------------------

  /** Loads ES, SS, DS, FS or GS in any mode; returns NEXT or FAULT. */
  static int load(Vcpu c, int segment, int selector) {
    if (!c.protectedMode) {
      setReal(c, segment, selector);
      return MicroOp.NEXT;
    }
    return segment == Vcpu.SS ? loadStack(c, selector) : loadData(c, segment, selector);
  }

  private static int loadStack(Vcpu c, int selector) {
    if (isNull(selector)) {
      if (!c.longMode || c.cpl == 3 || (selector & 3) != c.cpl) {
        return c.raise(Vector.GP, 0);
      }
      setNull(c, Vcpu.SS, selector);
      return MicroOp.NEXT;
    }
    long raw = readStackDescriptor(c, selector, c.cpl, Vector.GP, 0);
    if (c.fault != 0 || !setAccessed(c, selector, raw)) {
      return MicroOp.FAULT;
    }
    set(c, Vcpu.SS, selector, raw);
    return MicroOp.NEXT;
  }

  /**
   * Reads and checks a stack segment for use at {@code cpl}: RPL and DPL equal to it, writable
   * data, present (#SS).
   *
   * @param vector #GP, or #TS where the selector comes from a TSS
   */
  static long readStackDescriptor(Vcpu c, int selector, int cpl, int vector, int ext) {
    long address = descriptorAddress(c, selector, vector, ext);
    if (c.fault != 0) {
      return 0;
    }
    long raw = c.loadSystem(address, 8);
    if (c.fault != 0) {
      return 0;
    }
    int attributes = Descriptors.attributes(raw);
    if ((selector & 3) != cpl
        || Descriptors.dpl(attributes) != cpl
        || !Descriptors.isWritableData(attributes)) {
      c.raise(vector, selector & 0xFFFC | ext);
    } else if (!Descriptors.present(attributes)) {
      c.raise(Vector.SS, selector & 0xFFFC | ext);
    }
    return raw;
  }

  private static int loadData(Vcpu c, int segment, int selector) {
    if (isNull(selector)) {
      setNull(c, segment, selector);
      return MicroOp.NEXT;
    }
    long raw = readDescriptor(c, selector, 0);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int attributes = Descriptors.attributes(raw);
    int dpl = Descriptors.dpl(attributes);
    boolean privileged =
        !Descriptors.isConforming(attributes) && (dpl < (selector & 3) || dpl < c.cpl);
    if (!Descriptors.isReadable(attributes) || privileged) {
      return c.raise(Vector.GP, selector & 0xFFFC);
    }
    if (!Descriptors.present(attributes)) {
      return c.raise(Vector.NP, selector & 0xFFFC);
    }
    if (!setAccessed(c, selector, raw)) {
      return MicroOp.FAULT;
    }
    set(c, segment, selector, raw);
    return MicroOp.NEXT;
  }

  // ---- registers ---------------------------------------------------------------------------

  /** Puts a checked descriptor into a data or stack segment register. */
  static void set(Vcpu c, int segment, int selector, long raw) {
    put(
        c,
        segment,
        selector,
        Descriptors.base(raw),
        Descriptors.limit(raw),
        Descriptors.attributes(raw) | Descriptors.ACCESSED);
  }

  /** Puts every part of a segment register but CS, unchecked. */
  static void put(Vcpu c, int segment, int selector, long base, int limit, int attributes) {
    c.segmentSelector[segment] = selector;
    c.segmentLimit[segment] = limit;
    c.segmentAttributes[segment] = attributes;
    if (segment < Vcpu.FS) {
      c.descriptorBase[segment] = base;
      c.segmentBase[segment] = c.longMode ? 0 : base;
    } else {
      c.segmentBase[segment] = base;
    }
  }

  /** Makes a segment register null: unusable, base 0. */
  static void setNull(Vcpu c, int segment, int selector) {
    put(c, segment, selector, 0, 0, 0);
  }

  /** Real mode: the base follows the selector, limit and attributes stay as they were. */
  static void setReal(Vcpu c, int segment, int selector) {
    put(
        c,
        segment,
        selector,
        (long) selector << 4,
        c.segmentLimit[segment],
        c.segmentAttributes[segment]);
  }

  /** Puts CS and with it CPL and mode. */
  static void putCode(Vcpu c, int selector, long base, int limit, int attributes, int cpl) {
    put(c, Vcpu.CS, selector, base, limit, attributes);
    boolean otherPrivilege = c.cpl != cpl;
    c.cpl = cpl;
    updateMode(c);
    if (otherPrivilege) {
      c.privilegeChanged();
    }
  }

  /** Puts a checked code descriptor into CS with {@code cpl} as its RPL. */
  static void setCode(Vcpu c, int selector, long raw, int cpl) {
    putCode(
        c,
        selector & 0xFFFC | cpl,
        Descriptors.base(raw),
        Descriptors.limit(raw),
        Descriptors.attributes(raw) | Descriptors.ACCESSED,
        cpl);
  }

  /** Derives the decoder's mode, and the bases that go with it, from CS, CR0 and EFER. */
  static void updateMode(Vcpu c) {
    int attributes = c.segmentAttributes[Vcpu.CS];
    c.protectedMode = (c.paging.cr0() & 1) != 0;
    boolean longMode = c.paging.longMode() && (attributes & Descriptors.LONG) != 0;
    c.default32 = (attributes & Descriptors.BIG) != 0;
    if (longMode != c.longMode) {
      c.longMode = longMode;
      for (int segment = Vcpu.ES; segment <= Vcpu.DS; segment++) {
        c.segmentBase[segment] = longMode ? 0 : c.descriptorBase[segment];
      }
    }
  }

  /**
   * Makes ES, DS, FS and GS null where the outer level {@code cpl} may not use them (Intel SDM vol.
   * 3A, 5.8.6: return to a lesser privilege).
   */
  static void dropPrivilegedData(Vcpu c, int cpl) {
    for (int segment = Vcpu.ES; segment <= Vcpu.GS; segment++) {
      int attributes = c.segmentAttributes[segment];
      boolean data = segment != Vcpu.CS && segment != Vcpu.SS;
      if (data
          && attributes != 0
          && Descriptors.dpl(attributes) < cpl
          && !Descriptors.isConforming(attributes)) {
        setNull(c, segment, 0);
      }
    }
  }

  // ---- operands ----------------------------------------------------------------------------

  /** Checks an access outside 64-bit code; false with #SS(0) or #GP(0) pending if denied. */
  static boolean check(Vcpu c, int segment, long offset, int sizeBytes, boolean write) {
    int attributes = c.segmentAttributes[segment];
    boolean permitted =
        !c.protectedMode
            || (write
                ? Descriptors.isWritableData(attributes)
                : Descriptors.isReadable(attributes));
    if (permitted && Descriptors.within(attributes, c.segmentLimit[segment], offset, sizeBytes)) {
      return true;
    }
    c.raise(segment == Vcpu.SS ? Vector.SS : Vector.GP, 0);
    return false;
  }

  // ---- canonical addresses -----------------------------------------------------------------

  /** Whether an address is canonical under the current paging mode (48 bits, 57 with CR4.LA57). */
  static boolean isCanonical(Vcpu c, long address) {
    int unused = (c.paging.cr4() & PagingState.CR4_LA57) != 0 ? 7 : 16;
    return address << unused >> unused == address;
  }
}
