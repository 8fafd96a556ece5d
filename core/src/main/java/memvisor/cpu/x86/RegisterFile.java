package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/**
 * The registers of one vCPU from outside: boot protocols set them, the monitor prompt shows them,
 * tests and snapshots read them all. Used only while the vCPU does not run.
 *
 * <p>Values are not checked as instructions check them. What the processor derives from them (mode,
 * privilege, translations) follows at once.
 */
public final class RegisterFile {
  private final Vcpu c;

  RegisterFile(Vcpu c) {
    this.c = c;
  }

  /** Reads one register. */
  public long get(RegisterName name) {
    return switch (name) {
      case RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 ->
          c.gpr[name.ordinal()];
      case RIP -> c.rip;
      case RFLAGS -> c.flags.value();
      case CR0 -> c.paging.cr0();
      case CR2 -> c.cr2;
      case CR3 -> c.paging.cr3();
      case CR4 -> c.paging.cr4();
      case EFER -> c.paging.efer();
      case GDTR_BASE -> c.gdtBase;
      case GDTR_LIMIT -> c.gdtLimit;
      case IDTR_BASE -> c.idtBase;
      case IDTR_LIMIT -> c.idtLimit;
      case DR0, DR1, DR2, DR3, DR6, DR7 -> c.debugRegisters[debugIndex(name)];
      case XCR0 -> c.xcr0;
      case STAR,
          LSTAR,
          CSTAR,
          FMASK,
          KERNEL_GS_BASE,
          SYSENTER_CS,
          SYSENTER_ESP,
          SYSENTER_EIP,
          PAT,
          TSC_AUX,
          TSC_ADJUST,
          TSC_OFFSET ->
          c.msrs.get(name);
    };
  }

  /** Writes one register. */
  public void set(RegisterName name, long value) {
    switch (name) {
      case RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 ->
          c.gpr[name.ordinal()] = value;
      case RIP -> c.rip = value;
      case RFLAGS -> {
        c.flags.setValue(value);
        c.privilegeChanged();
      }
      case CR0, CR3, CR4, EFER -> setPaging(name, value);
      case CR2 -> c.cr2 = value;
      case GDTR_BASE -> c.gdtBase = value;
      case GDTR_LIMIT -> c.gdtLimit = (int) value & 0xFFFF;
      case IDTR_BASE -> c.idtBase = value;
      case IDTR_LIMIT -> c.idtLimit = (int) value & 0xFFFF;
      case DR0, DR1, DR2, DR3, DR6, DR7 -> c.debugRegisters[debugIndex(name)] = value;
      case XCR0 -> c.xcr0 = value;
      case STAR,
          LSTAR,
          CSTAR,
          FMASK,
          KERNEL_GS_BASE,
          SYSENTER_CS,
          SYSENTER_ESP,
          SYSENTER_EIP,
          PAT,
          TSC_AUX,
          TSC_ADJUST,
          TSC_OFFSET ->
          c.msrs.set(name, value);
    }
  }

  private static int debugIndex(RegisterName name) {
    int index = name.ordinal() - RegisterName.DR0.ordinal();
    return index < 4 ? index : index + 2;
  }

  private void setPaging(RegisterName name, long value) {
    PagingState paging = c.paging;
    switch (name) {
      case CR0 -> paging.setCr0(value);
      case CR3 -> paging.setCr3(value);
      case CR4 -> paging.setCr4(value);
      default -> paging.setEfer(value);
    }
    Segments.updateMode(c);
    c.controls.pagingControlsChanged();
    c.controls.rootChanged(false);
  }

  /** Reads a segment register with its hidden part. */
  public SegmentState segment(SegmentName name) {
    int s = name.ordinal();
    return new SegmentState(
        c.segmentSelector[s], base(s), c.segmentLimit[s], c.segmentAttributes[s]);
  }

  private long base(int segment) {
    return segment < Vcpu.FS ? c.descriptorBase[segment] : c.segmentBase[segment];
  }

  /** Writes a segment register; CS also sets CPL, to the descriptor's DPL. */
  public void setSegment(SegmentName name, SegmentState state) {
    int s = name.ordinal();
    if (name == SegmentName.CS) {
      int cpl = c.protectedMode ? Descriptors.dpl(state.attributes()) : 0;
      Segments.putCode(c, state.selector(), state.base(), state.limit(), state.attributes(), cpl);
    } else {
      Segments.put(c, s, state.selector(), state.base(), state.limit(), state.attributes());
    }
  }

  /** Sets or clears CR0.TS, which concerns no translation. */
  public void setTaskSwitched(boolean on) {
    long cr0 = c.paging.cr0();
    c.paging.setCr0(on ? cr0 | ControlRegisters.CR0_TS : cr0 & ~ControlRegisters.CR0_TS);
  }

  /** Changes the base of FS or GS alone, as WRMSR does. */
  public void setBase(SegmentName name, long base) {
    c.segmentBase[name.ordinal()] = base;
  }

  /** The base of a segment in use. */
  public long base(SegmentName name) {
    return c.segmentBase[name.ordinal()];
  }

  /**
   * Loads a data segment register as MOV does, from the descriptor tables; false if that would
   * fault, and then nothing has changed.
   */
  public boolean loadSelector(SegmentName name, int selector) {
    boolean loaded = Segments.load(c, name.ordinal(), selector) == MicroOp.NEXT;
    c.fault = 0;
    return loaded;
  }

  /**
   * Loads CS with a code segment for CPL 3, from the descriptor tables; false if IRET would fault,
   * and then nothing has changed.
   */
  public boolean loadUserCode(int selector) {
    long raw = Segments.isNull(selector) ? 0 : Segments.readDescriptor(c, selector, 0);
    int attributes = Descriptors.attributes(raw);
    boolean permitted =
        c.fault == 0
            && (selector & 3) == 3
            && Descriptors.isCode(attributes)
            && Descriptors.present(attributes)
            && (attributes & (Descriptors.LONG | Descriptors.BIG))
                != (Descriptors.LONG | Descriptors.BIG)
            && (Descriptors.isConforming(attributes) || Descriptors.dpl(attributes) == 3)
            && Segments.setAccessed(c, selector, raw);
    c.fault = 0;
    if (permitted) {
      Segments.setCode(c, selector, raw, 3);
    }
    return permitted;
  }

  /** Current privilege level. */
  public int privilegeLevel() {
    return c.cpl;
  }

  /** 64-bit code, 32-bit code or 16-bit code is what RIP points to. */
  public int codeBits() {
    return c.longMode ? 64 : c.default32 ? 32 : 16;
  }

  /** XMM register {@code index}: low and high half. */
  public long[] xmm(int index) {
    return new long[] {c.xmm[2 * index], c.xmm[2 * index + 1]};
  }

  /** A hash over every register, for comparing two runs. */
  public long hash() {
    long hash = 0;
    for (RegisterName name : RegisterName.values()) {
      hash = 31 * hash + get(name);
    }
    for (SegmentName name : SegmentName.values()) {
      hash = 31 * hash + segment(name).hashCode();
    }
    for (long half : c.xmm) {
      hash = 31 * hash + half;
    }
    return hash;
  }

  /** Whether the instruction before was one after which no interrupt is taken (STI, MOV SS). */
  boolean interruptsInhibited() {
    return c.interruptShadow;
  }

  /** Sets the x87 unit and MXCSR to what FNINIT and a reset leave. */
  public void initializeFloatingPoint() {
    c.fpu.initialize();
    c.fpu.mxcsr = FpuState.MXCSR_RESET;
  }

  FpuState floatingPoint() {
    return c.fpu;
  }

  /** The registers in the form of QEMU's {@code info registers}. */
  public String describe() {
    return RegisterText.describe(this, c.halted);
  }
}
