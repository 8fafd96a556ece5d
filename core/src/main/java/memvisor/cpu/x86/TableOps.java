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
      c.store(gva + 2, baseBytes, base);
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
    long base = c.fault != 0 ? 0 : c.load(gva + 2, baseBytes);
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

  // ---- LDTR and TR -------------------------------------------------------------------------

  static int sldt(Vcpu c, SystemOp op) {
    return storeSelector(c, op, Vcpu.LDTR);
  }

  static int str(Vcpu c, SystemOp op) {
    return storeSelector(c, op, Vcpu.TR);
  }

  private static int storeSelector(Vcpu c, SystemOp op, int segment) {
    return c.protectedMode ? op.writeWord(c, c.segmentSelector[segment]) : c.raise(Vector.UD, 0);
  }

  static int lldt(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, true);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    if (Segments.isNull(selector)) {
      Segments.setNull(c, Vcpu.LDTR, selector);
      return MicroOp.NEXT;
    }
    return loadSystemSegment(c, Vcpu.LDTR, selector);
  }

  static int ltr(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, true);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    if (Segments.isNull(selector)) {
      return c.raise(Vector.GP, 0);
    }
    return loadSystemSegment(c, Vcpu.TR, selector);
  }

  /** The selector operand; #UD in real mode, #GP(0) if {@code privileged} and CPL is not 0. */
  private static int readSelector(Vcpu c, SystemOp op, boolean privileged) {
    if (!c.protectedMode) {
      c.raise(Vector.UD, 0);
      return 0;
    }
    if (privileged && c.cpl != 0) {
      c.raise(Vector.GP, 0);
      return 0;
    }
    return op.readWord(c);
  }

  /** Loads LDTR or TR; a TSS becomes busy. System descriptors take 16 bytes in IA-32e mode. */
  private static int loadSystemSegment(Vcpu c, int segment, int selector) {
    boolean longMode = c.paging.longMode();
    if ((selector & 4) != 0 || !Segments.inTable(c, selector, longMode ? 16 : 8)) {
      return c.raise(Vector.GP, selector & 0xFFFC);
    }
    long address = Segments.descriptorAddress(c, selector, Vector.GP, 0);
    long raw = c.loadSystem(address, 8);
    long high = longMode && c.fault == 0 ? c.loadSystem(address + 8, 4) : 0;
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    int attributes = Descriptors.attributes(raw);
    if (!isLoadable(Descriptors.type(attributes), segment, longMode)) {
      return c.raise(Vector.GP, selector & 0xFFFC);
    }
    if (!Descriptors.present(attributes)) {
      return c.raise(Vector.NP, selector & 0xFFFC);
    }
    long base = Descriptors.base(raw) | high << 32;
    if (!c.isCanonicalForRegisters(base)) {
      return c.raise(Vector.GP, selector & 0xFFFC);
    }
    if (segment == Vcpu.TR) {
      attributes |= 2;
      c.storeSystem(address + 5, 1, attributes & 0xFF);
      if (c.fault != 0) {
        return MicroOp.FAULT;
      }
    }
    Segments.put(c, segment, selector, base, Descriptors.limit(raw), attributes);
    return MicroOp.NEXT;
  }

  private static boolean isLoadable(int type, int segment, boolean longMode) {
    if (segment == Vcpu.LDTR) {
      return type == Descriptors.LDT;
    }
    return type == Descriptors.TSS_AVAILABLE || !longMode && type == Descriptors.TSS16_AVAILABLE;
  }

  // ---- looking at descriptors --------------------------------------------------------------

  /** System types that LAR and LSL accept, as bits by type: outside and inside IA-32e mode. */
  private static final int LAR_TYPES = 0x1A3E;

  private static final int LAR_TYPES_LONG = 0x1A04;
  private static final int LSL_TYPES = 0x0A0E;
  private static final int LSL_TYPES_LONG = 0x0A04;

  static int lar(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, false);
    long raw = look(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    boolean visible = isVisible(c, selector, raw, c.paging.longMode() ? LAR_TYPES_LONG : LAR_TYPES);
    if (visible) {
      SystemOp.writeRegister(c, op.reg, op.size, raw >>> 32 & 0xF0_FF00);
    }
    return setZero(c, visible);
  }

  static int lsl(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, false);
    long raw = look(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    boolean visible = isVisible(c, selector, raw, c.paging.longMode() ? LSL_TYPES_LONG : LSL_TYPES);
    if (visible) {
      SystemOp.writeRegister(c, op.reg, op.size, Descriptors.limit(raw) & 0xFFFF_FFFFL);
    }
    return setZero(c, visible);
  }

  static int verr(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, false);
    long raw = look(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    boolean readable = Descriptors.isReadable(Descriptors.attributes(raw));
    return setZero(c, readable && isVisible(c, selector, raw, 0));
  }

  static int verw(Vcpu c, SystemOp op) {
    int selector = readSelector(c, op, false);
    long raw = look(c, selector);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    boolean writable = Descriptors.isWritableData(Descriptors.attributes(raw));
    return setZero(c, writable && isVisible(c, selector, raw, 0));
  }

  /** The descriptor, or 0 (an invalid one) where the selector names none. */
  private static long look(Vcpu c, int selector) {
    if (c.fault != 0 || Segments.isNull(selector) || !Segments.inTable(c, selector, 8)) {
      return 0;
    }
    return Segments.readDescriptor(c, selector, 0);
  }

  private static boolean isVisible(Vcpu c, int selector, long raw, int systemTypes) {
    int attributes = Descriptors.attributes(raw);
    int dpl = Descriptors.dpl(attributes);
    boolean system = (attributes & Descriptors.CODE_OR_DATA) == 0;
    if (system && (systemTypes >>> Descriptors.type(attributes) & 1) == 0) {
      return false;
    }
    return Descriptors.isConforming(attributes) || c.cpl <= dpl && (selector & 3) <= dpl;
  }

  private static int setZero(Vcpu c, boolean zero) {
    int others = (int) c.flags.value() & ~Flags.ZF;
    c.flags.setStatus(zero ? others | Flags.ZF : others);
    return MicroOp.NEXT;
  }
}
