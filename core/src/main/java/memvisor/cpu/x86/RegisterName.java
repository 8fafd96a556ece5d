package memvisor.cpu.x86;

/** Every register of a {@link Vcpu} that is one integer, for set-up, display and snapshots. */
public enum RegisterName {
  /** General register 0. */
  RAX,
  /** General register 1. */
  RCX,
  /** General register 2. */
  RDX,
  /** General register 3. */
  RBX,
  /** Stack pointer. */
  RSP,
  /** General register 5. */
  RBP,
  /** General register 6. */
  RSI,
  /** General register 7. */
  RDI,
  /** General register 8. */
  R8,
  /** General register 9. */
  R9,
  /** General register 10. */
  R10,
  /** General register 11. */
  R11,
  /** General register 12. */
  R12,
  /** General register 13. */
  R13,
  /** General register 14. */
  R14,
  /** General register 15. */
  R15,
  /** Instruction pointer. */
  RIP,
  /** Flags. */
  RFLAGS,
  /** Protection and paging. */
  CR0,
  /** Linear address of the last page fault. */
  CR2,
  /** Page-table root and PCID. */
  CR3,
  /** Extensions. */
  CR4,
  /** IA32_EFER. */
  EFER,
  /** Base of the GDT. */
  GDTR_BASE,
  /** Limit of the GDT in bytes. */
  GDTR_LIMIT,
  /** Base of the IDT. */
  IDTR_BASE,
  /** Limit of the IDT in bytes. */
  IDTR_LIMIT,
  /** Breakpoint address 0. */
  DR0,
  /** Breakpoint address 1. */
  DR1,
  /** Breakpoint address 2. */
  DR2,
  /** Breakpoint address 3. */
  DR3,
  /** Debug status. */
  DR6,
  /** Debug control. */
  DR7,
  /** XCR0. */
  XCR0,
  /** IA32_STAR. */
  STAR,
  /** IA32_LSTAR. */
  LSTAR,
  /** IA32_CSTAR. */
  CSTAR,
  /** IA32_FMASK. */
  FMASK,
  /** IA32_KERNEL_GS_BASE. */
  KERNEL_GS_BASE,
  /** IA32_SYSENTER_CS. */
  SYSENTER_CS,
  /** IA32_SYSENTER_ESP. */
  SYSENTER_ESP,
  /** IA32_SYSENTER_EIP. */
  SYSENTER_EIP,
  /** IA32_PAT. */
  PAT,
  /** IA32_TSC_AUX. */
  TSC_AUX,
  /** IA32_TSC_ADJUST. */
  TSC_ADJUST,
  /** What is added to the monitor's time stamp. */
  TSC_OFFSET
}
