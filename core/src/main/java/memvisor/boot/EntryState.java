package memvisor.boot;

/**
 * What a vCPU holds at a guest's first instruction. RFLAGS is 2 (interrupts off), the IDT is empty,
 * DS, ES, FS, GS and SS are {@link #data()}.
 */
public sealed interface EntryState {
  /** CR0.PE and CR0.ET. */
  long CR0_PROTECTED = 0x11;

  /** CR0.PG. */
  long CR0_PAGING = 1L << 31;

  /** CR4.PAE. */
  long CR4_PAE = 1 << 5;

  /** EFER.LME and EFER.LMA. */
  long EFER_LONG_MODE = 1 << 8 | 1 << 10;

  /** Address of the first instruction. */
  long rip();

  /** General registers. */
  GeneralRegisters registers();

  /** Base of the GDT that was written to guest memory. */
  long gdtBase();

  /** Limit of the GDT: its size in bytes less one. */
  default int gdtLimit() {
    return GuestGdt.SIZE_BYTES - 1;
  }

  /** CS. */
  SegmentState code();

  /** DS, ES, FS, GS and SS. */
  default SegmentState data() {
    return GuestGdt.DATA;
  }

  /** TR. */
  default SegmentState task() {
    return GuestGdt.TASK;
  }

  /** CR0. */
  long cr0();

  /** CR3. */
  long cr3();

  /** CR4. */
  long cr4();

  /** IA32_EFER. */
  long efer();

  /**
   * 32-bit protected mode, flat segments, no paging (PVH, multiboot, Linux' 32-bit protocol).
   *
   * @param rip address of the first instruction, below 4 GiB
   * @param registers general registers
   * @param gdtBase base of the GDT
   * @param code CS
   */
  record FlatProtected(long rip, GeneralRegisters registers, long gdtBase, SegmentState code)
      implements EntryState {
    @Override
    public long cr0() {
      return CR0_PROTECTED;
    }

    @Override
    public long cr3() {
      return 0;
    }

    @Override
    public long cr4() {
      return 0;
    }

    @Override
    public long efer() {
      return 0;
    }
  }

  /**
   * 64-bit mode with an identity map of the first 4 GiB (Linux 64-bit protocol, plain ELF64).
   *
   * @param rip address of the first instruction
   * @param registers general registers
   * @param gdtBase base of the GDT
   * @param cr3 the PML4 table
   */
  record LongMode(long rip, GeneralRegisters registers, long gdtBase, long cr3)
      implements EntryState {
    @Override
    public SegmentState code() {
      return GuestGdt.CODE_64;
    }

    @Override
    public long cr0() {
      return CR0_PROTECTED | CR0_PAGING;
    }

    @Override
    public long cr4() {
      return CR4_PAE;
    }

    @Override
    public long efer() {
      return EFER_LONG_MODE;
    }
  }
}
