package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/**
 * Writes of CR0, CR3 and CR4 with all their checks, and what follows from them for translation
 * (Intel SDM vol. 3A, 2.5, 4.1, 4.10.4; vol. 2B, MOV to control register).
 *
 * <p>A write that the monitor intercepts is told to the monitor instead of the translation unit.
 */
final class ControlRegisters {
  static final long CR0_MP = 1L << 1;
  static final long CR0_EM = 1L << 2;
  static final long CR0_TS = 1L << 3;
  static final long CR0_ET = 1L << 4;
  static final long CR0_NE = 1L << 5;
  static final long CR0_AM = 1L << 18;
  static final long CR0_NW = 1L << 29;
  static final long CR0_CD = 1L << 30;

  static final long CR4_TSD = 1L << 2;
  static final long CR4_DE = 1L << 3;
  static final long CR4_PCE = 1L << 8;
  static final long CR4_OSFXSR = 1L << 9;
  static final long CR4_OSXMMEXCPT = 1L << 10;
  static final long CR4_FSGSBASE = 1L << 16;
  static final long CR4_OSXSAVE = 1L << 18;

  /** Bit 63 of a value written to CR3 under CR4.PCIDE: keep the PCID's translations. */
  static final long CR3_KEEP = 1L << 63;

  private static final long CR0_DEFINED =
      PagingState.CR0_PE
          | CR0_MP
          | CR0_EM
          | CR0_TS
          | CR0_ET
          | CR0_NE
          | PagingState.CR0_WP
          | CR0_AM
          | CR0_NW
          | CR0_CD
          | PagingState.CR0_PG;

  private static final long CR0_PAGING = PagingState.CR0_WP | PagingState.CR0_PG;

  /** Changes of these reload the PDPTEs of PAE paging (4.4.1). */
  private static final long CR0_RELOADS = CR0_CD | CR0_NW | PagingState.CR0_PG;

  private static final long CR4_RELOADS =
      PagingState.CR4_PAE | PagingState.CR4_PSE | PagingState.CR4_PGE | PagingState.CR4_SMEP;

  private static final long CR4_PAGING =
      CR4_RELOADS | PagingState.CR4_SMAP | PagingState.CR4_PCIDE | PagingState.CR4_LA57;

  private final Vcpu c;
  private final PagingState paging;

  ControlRegisters(Vcpu c) {
    this.c = c;
    this.paging = c.paging;
  }

  // ---- CR0 ---------------------------------------------------------------------------------

  /** MOV to CR0, LMSW, CLTS; END or FAULT. */
  int writeCr0(long value) {
    long old = paging.cr0();
    long cr0 = value & CR0_DEFINED | CR0_ET;
    boolean on = (cr0 & PagingState.CR0_PG) != 0;
    boolean invalid =
        value >>> 32 != 0
            || on && (cr0 & PagingState.CR0_PE) == 0
            || (cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0;
    if (invalid || on != paging.paging() && !maySwitchPaging(on)) {
      return c.raise(Vector.GP, 0);
    }
    boolean longMode = on && (paging.efer() & PagingState.EFER_LME) != 0;
    long changed = cr0 ^ old;
    boolean pae = on && !longMode && (paging.cr4() & PagingState.CR4_PAE) != 0;
    if (pae && (changed & CR0_RELOADS) != 0 && !loadPdptes(paging.cr3())) {
      return MicroOp.FAULT;
    }
    paging.setCr0(cr0);
    paging.setEfer(
        longMode ? paging.efer() | PagingState.EFER_LMA : paging.efer() & ~PagingState.EFER_LMA);
    if ((changed & PagingState.CR0_PE) != 0) {
      c.cpl = 0;
    }
    Segments.updateMode(c);
    if ((changed & CR0_PAGING) != 0) {
      pagingControlsChanged();
    }
    return MicroOp.END;
  }

  /** The rules for switching paging on and off (4.1.2, 9.8.5). */
  private boolean maySwitchPaging(boolean on) {
    boolean longCode = (c.segmentAttributes[Vcpu.CS] & Descriptors.LONG) != 0;
    if (!on) {
      return !c.longMode && (paging.cr4() & PagingState.CR4_PCIDE) == 0;
    }
    boolean toLongMode = (paging.efer() & PagingState.EFER_LME) != 0;
    return !toLongMode || (paging.cr4() & PagingState.CR4_PAE) != 0 && !longCode;
  }

  // ---- CR3 ---------------------------------------------------------------------------------

  /** MOV to CR3; END or FAULT. */
  int writeCr3(long value) {
    boolean tagged = (paging.cr4() & PagingState.CR4_PCIDE) != 0;
    long cr3 = tagged ? value & ~CR3_KEEP : value;
    if (paging.longMode()) {
      if (cr3 >>> paging.physicalAddressBits() != 0) {
        return c.raise(Vector.GP, 0);
      }
    } else {
      cr3 &= 0xFFFF_FFFFL;
      boolean pae = paging.paging() && (paging.cr4() & PagingState.CR4_PAE) != 0;
      if (pae && !loadPdptes(cr3)) {
        return MicroOp.FAULT;
      }
    }
    paging.setCr3(cr3);
    rootChanged(tagged && value < 0);
    return MicroOp.END;
  }

  /**
   * Loads the four PDPTE registers from the table at CR3; #GP(0) where a present one has a reserved
   * bit set (4.4.1).
   */
  private boolean loadPdptes(long cr3) {
    long table = cr3 & 0xFFFF_FFE0L;
    long reserved = 0x1E6 | -1L << paging.physicalAddressBits();
    long[] entries = new long[4];
    readPhysical(table, entries);
    if (c.fault != 0) {
      return false;
    }
    for (int i = 0; i < 4; i++) {
      if ((entries[i] & 1) != 0 && (entries[i] & reserved) != 0) {
        c.raise(Vector.GP, 0);
        return false;
      }
    }
    for (int i = 0; i < 4; i++) {
      paging.setPdpte(i, entries[i]);
    }
    return true;
  }

  /**
   * Reads guest-physical memory by switching paging off for a moment, so that every technique
   * answers in its own way. PAE kernels alone pay for it.
   */
  private void readPhysical(long gpa, long[] target) {
    long cr0 = paging.cr0();
    switchPaging(cr0 & ~PagingState.CR0_PG);
    for (int i = 0; i < target.length; i++) {
      target[i] = c.loadSystem(gpa + 8L * i, 8);
    }
    switchPaging(cr0);
  }

  private void switchPaging(long cr0) {
    if (cr0 != paging.cr0()) {
      paging.setCr0(cr0);
      pagingControlsChanged();
    }
  }

  // ---- CR4 ---------------------------------------------------------------------------------

  /** MOV to CR4; END or FAULT. */
  int writeCr4(long cr4) {
    long changed = cr4 ^ paging.cr4();
    if ((cr4 & ~writableCr4()) != 0 || !mayChangeCr4(cr4, changed)) {
      return c.raise(Vector.GP, 0);
    }
    boolean pae = paging.paging() && !paging.longMode() && (cr4 & PagingState.CR4_PAE) != 0;
    if (pae && (changed & CR4_RELOADS) != 0 && !loadPdptes(paging.cr3())) {
      return MicroOp.FAULT;
    }
    paging.setCr4(cr4);
    if ((changed & CR4_PAGING) != 0) {
      pagingControlsChanged();
    }
    return MicroOp.END;
  }

  private boolean mayChangeCr4(long cr4, long changed) {
    boolean longMode = paging.longMode();
    boolean pae = (cr4 & PagingState.CR4_PAE) != 0;
    boolean setsPcide = (changed & cr4 & PagingState.CR4_PCIDE) != 0;
    return !(longMode && !pae)
        && !(longMode && (changed & PagingState.CR4_LA57) != 0)
        && !(setsPcide && (!longMode || (paging.cr3() & 0xFFF) != 0));
  }

  /** The bits of CR4 that this processor has. */
  private long writableCr4() {
    return CR4_TSD
        | CR4_PCE
        | bit(CpuFeature.DE, CR4_DE)
        | bit(CpuFeature.PSE, PagingState.CR4_PSE)
        | bit(CpuFeature.PAE, PagingState.CR4_PAE)
        | bit(CpuFeature.PGE, PagingState.CR4_PGE)
        | bit(CpuFeature.FXSR, CR4_OSFXSR)
        | bit(CpuFeature.SSE, CR4_OSXMMEXCPT)
        | bit(CpuFeature.LA57, PagingState.CR4_LA57)
        | bit(CpuFeature.FSGSBASE, CR4_FSGSBASE)
        | bit(CpuFeature.PCID, PagingState.CR4_PCIDE)
        | bit(CpuFeature.XSAVE, CR4_OSXSAVE)
        | bit(CpuFeature.SMEP, PagingState.CR4_SMEP)
        | bit(CpuFeature.SMAP, PagingState.CR4_SMAP);
  }

  private long bit(CpuFeature feature, long mask) {
    return c.has(feature) ? mask : 0;
  }

  // ---- what follows ------------------------------------------------------------------------

  /** CR0, CR4 or EFER changed in a bit that decides about translation. */
  void pagingControlsChanged() {
    c.privilegeChanged();
    if (c.intercepts().pagingControls()) {
      c.monitor.pagingControlsWritten();
    } else {
      c.unit.controlsChanged();
    }
  }

  /** CR3 has a new value. */
  void rootChanged(boolean keepTranslations) {
    if (c.intercepts().cr3()) {
      c.monitor.cr3Written(keepTranslations);
    } else {
      c.unit.cr3Loaded(keepTranslations);
    }
  }

  /** INVLPG of a linear address. */
  void invalidatePage(long gva) {
    if (c.intercepts().invlpg()) {
      c.monitor.invlpg(gva);
    } else {
      c.unit.invalidatePage(gva);
    }
  }

  /** INVPCID with checked operands. */
  void invalidatePcid(int type, int pcid, long gva) {
    if (c.intercepts().invlpg()) {
      c.monitor.invpcid(type, pcid, gva);
    } else {
      c.unit.invalidatePcid(type, pcid, gva);
    }
  }
}
