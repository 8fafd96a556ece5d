package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/**
 * Model-specific registers (Intel SDM vol. 4). Those the processor acts on are fields; those it
 * only stores or answers are a table; the interrupt controller's are the monitor's.
 */
final class Msrs {
  static final long EFER_SCE = 1;

  static final int TSC = 0x10;
  static final int APIC_BASE = 0x1B;
  static final int TSC_ADJUST = 0x3B;
  static final int SYSENTER_CS = 0x174;
  static final int SYSENTER_ESP = 0x175;
  static final int SYSENTER_EIP = 0x176;
  static final int PAT = 0x277;
  static final int TSC_DEADLINE = 0x6E0;
  static final int X2APIC_FIRST = 0x800;
  static final int X2APIC_LAST = 0x8FF;
  static final int EFER = 0xC000_0080;
  static final int STAR = 0xC000_0081;
  static final int LSTAR = 0xC000_0082;
  static final int CSTAR = 0xC000_0083;
  static final int FMASK = 0xC000_0084;
  static final int FS_BASE = 0xC000_0100;
  static final int GS_BASE = 0xC000_0101;
  static final int KERNEL_GS_BASE = 0xC000_0102;
  static final int TSC_AUX = 0xC000_0103;

  /** PAT after reset (Intel SDM vol. 3A, 12.12.4). */
  private static final long PAT_RESET = 0x0007_0406_0007_0406L;

  /** Registers that read a constant and ignore writes: index, value. */
  private static final long[][] CONSTANTS = {
    {0x17, 0}, // IA32_PLATFORM_ID
    {0x34, 0}, // MSR_SMI_COUNT
    {0x3A, 1}, // IA32_FEATURE_CONTROL: locked, no VMX
    {0x8B, 0}, // IA32_BIOS_SIGN_ID
    {0xCE, 0}, // MSR_PLATFORM_INFO
    {0xFE, 0}, // IA32_MTRRCAP
    {0x140, 0}, // MISC_FEATURE_ENABLES
    {0x1A0, 1}, // IA32_MISC_ENABLE: fast strings
  };

  long star;
  long lstar;
  long cstar;
  long fmask;
  long kernelGsBase;
  long sysenterCs;
  long sysenterEsp;
  long sysenterEip;
  long pat = PAT_RESET;
  long tscAux;
  long tscAdjust;

  /** Added to the monitor's time stamp. */
  long tscOffset;

  private final Vcpu c;
  private long value;

  Msrs(Vcpu c) {
    this.c = c;
  }

  /** The value found by the last successful {@link #read}. */
  long value() {
    return value;
  }

  long timestamp() {
    return c.monitor.timestamp() + tscOffset;
  }

  /** Reads a register into {@link #value}; false if it does not exist (#GP). */
  boolean read(int index) {
    switch (index) {
      case TSC -> value = timestamp();
      case TSC_ADJUST -> value = tscAdjust;
      case SYSENTER_CS -> value = sysenterCs;
      case SYSENTER_ESP -> value = sysenterEsp;
      case SYSENTER_EIP -> value = sysenterEip;
      case PAT -> value = pat;
      case EFER -> value = c.paging.efer();
      case STAR -> value = star;
      case LSTAR -> value = lstar;
      case CSTAR -> value = cstar;
      case FMASK -> value = fmask;
      case FS_BASE -> value = c.segmentBase[Vcpu.FS];
      case GS_BASE -> value = c.segmentBase[Vcpu.GS];
      case KERNEL_GS_BASE -> value = kernelGsBase;
      case TSC_AUX -> value = tscAux;
      default -> {
        return readOther(index);
      }
    }
    return true;
  }

  private boolean readOther(int index) {
    for (long[] constant : CONSTANTS) {
      if (constant[0] == index) {
        value = constant[1];
        return true;
      }
    }
    if (!c.monitor.readMsr(index)) {
      return false;
    }
    value = c.monitor.msrValue();
    return true;
  }

  /** Writes a register; false raises #GP and has changed nothing. */
  boolean write(int index, long v) {
    return switch (index) {
      case SYSENTER_ESP, SYSENTER_EIP, LSTAR, CSTAR, FS_BASE, GS_BASE, KERNEL_GS_BASE ->
          c.isCanonicalForRegisters(v) && writeAddress(index, v);
      case EFER -> writeEfer(v);
      case PAT -> writePat(v);
      case TSC -> adjustTsc(v - timestamp());
      case TSC_ADJUST -> adjustTsc(v - tscAdjust);
      case SYSENTER_CS, STAR, FMASK, TSC_AUX -> writePlain(index, v);
      default -> writeOther(index, v);
    };
  }

  private boolean writeAddress(int index, long v) {
    switch (index) {
      case SYSENTER_ESP -> sysenterEsp = v;
      case SYSENTER_EIP -> sysenterEip = v;
      case LSTAR -> lstar = v;
      case CSTAR -> cstar = v;
      case FS_BASE -> c.segmentBase[Vcpu.FS] = v;
      case GS_BASE -> c.segmentBase[Vcpu.GS] = v;
      default -> kernelGsBase = v;
    }
    return true;
  }

  private boolean writePlain(int index, long v) {
    boolean narrow = index == FMASK || index == TSC_AUX;
    if (narrow && v >>> 32 != 0) {
      return false;
    }
    switch (index) {
      case SYSENTER_CS -> sysenterCs = v & 0xFFFF_FFFFL;
      case STAR -> star = v;
      case FMASK -> fmask = v;
      default -> tscAux = v;
    }
    return true;
  }

  private boolean adjustTsc(long delta) {
    tscOffset += delta;
    tscAdjust += delta;
    return true;
  }

  private boolean writePat(long v) {
    for (int shift = 0; shift < 64; shift += 8) {
      int type = (int) (v >>> shift) & 0xFF;
      if (type > 7 || type == 2 || type == 3) {
        return false;
      }
    }
    pat = v;
    return true;
  }

  /** EFER (Intel SDM vol. 3A, 2.2.1): LMA is read-only, LME is fixed while paging is on. */
  private boolean writeEfer(long v) {
    long old = c.paging.efer();
    long writable = EFER_SCE;
    if (c.has(CpuFeature.LM)) {
      writable |= PagingState.EFER_LME | PagingState.EFER_LMA;
    }
    if (c.has(CpuFeature.NX)) {
      writable |= PagingState.EFER_NXE;
    }
    boolean toggled = ((v ^ old) & PagingState.EFER_LME) != 0;
    if ((v & ~writable) != 0 || toggled && c.paging.paging()) {
      return false;
    }
    c.paging.setEfer(v & ~PagingState.EFER_LMA | old & PagingState.EFER_LMA);
    if (((v ^ old) & PagingState.EFER_NXE) != 0) {
      c.controls.pagingControlsChanged();
    }
    return true;
  }

  private boolean writeOther(int index, long v) {
    for (long[] constant : CONSTANTS) {
      if (constant[0] == index) {
        return true;
      }
    }
    return c.monitor.writeMsr(index, v);
  }

  // ---- from outside ------------------------------------------------------------------------

  void reset() {
    star = 0;
    lstar = 0;
    cstar = 0;
    fmask = 0;
    kernelGsBase = 0;
    sysenterCs = 0;
    sysenterEsp = 0;
    sysenterEip = 0;
    tscAux = 0;
    tscAdjust = 0;
    pat = PAT_RESET;
    tscOffset = 0;
  }

  /** Reads a register that {@link RegisterFile} shows. */
  long get(RegisterName name) {
    return switch (name) {
      case STAR -> star;
      case LSTAR -> lstar;
      case CSTAR -> cstar;
      case FMASK -> fmask;
      case KERNEL_GS_BASE -> kernelGsBase;
      case SYSENTER_CS -> sysenterCs;
      case SYSENTER_ESP -> sysenterEsp;
      case SYSENTER_EIP -> sysenterEip;
      case PAT -> pat;
      case TSC_AUX -> tscAux;
      case TSC_ADJUST -> tscAdjust;
      default -> tscOffset;
    };
  }

  /** Writes a register unchecked. */
  void set(RegisterName name, long v) {
    switch (name) {
      case STAR -> star = v;
      case LSTAR -> lstar = v;
      case CSTAR -> cstar = v;
      case FMASK -> fmask = v;
      case KERNEL_GS_BASE -> kernelGsBase = v;
      case SYSENTER_CS -> sysenterCs = v;
      case SYSENTER_ESP -> sysenterEsp = v;
      case SYSENTER_EIP -> sysenterEip = v;
      case PAT -> pat = v;
      case TSC_AUX -> tscAux = v;
      case TSC_ADJUST -> tscAdjust = v;
      default -> tscOffset = v;
    }
  }
}
