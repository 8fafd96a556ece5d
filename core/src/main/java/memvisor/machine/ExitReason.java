package memvisor.machine;

/**
 * Why a vCPU left guest code, by the VMX basic exit reasons (Intel SDM vol. 3D, appendix C) as
 * Linux' perf prints them. The last two exist only in Memvisor.
 */
public enum ExitReason {
  /** A page fault that the technique intercepts. */
  EXCEPTION_NMI,
  /** An interrupt was injected at a block boundary. */
  EXTERNAL_INTERRUPT,
  /** Delivering a double fault failed. */
  TRIPLE_FAULT,
  /** CPUID. */
  CPUID,
  /** HLT. */
  HLT,
  /** INVLPG, where intercepted. */
  INVLPG,
  /** INVPCID, where intercepted. */
  INVPCID,
  /** MOV to CR3, or a change of paging bits in CR0, CR4 or EFER, where intercepted. */
  CR_ACCESS,
  /** IN, OUT, INS or OUTS. */
  IO_INSTRUCTION,
  /** RDMSR of a register that the monitor keeps. */
  MSR_READ,
  /** WRMSR of a register that the monitor keeps. */
  MSR_WRITE,
  /** The nested tables deny an access to memory. */
  EPT_VIOLATION,
  /**
   * An access to a device register (KVM maps these as misconfigured entries to tell them apart).
   */
  EPT_MISCONFIG,
  /** The partition's limit stopped an access. */
  PARTITION_LIMIT,
  /** The trap technique performs one access. */
  TRAPPED_ACCESS,
  /** A paravirtual kernel called the monitor. */
  HYPERCALL,
  /** A system call of a paravirtual guest's user, passed on to its kernel. */
  SYSTEM_CALL,
  /** An instruction of ring 0 that the monitor performed for a paravirtual kernel. */
  PRIVILEGED_INSTRUCTION
}
