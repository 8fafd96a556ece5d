package memvisor.cpu.x86;

/**
 * One feature bit of CPUID: leaf (subleaf 0), register and bit (Intel SDM vol. 2A, CPUID). Only
 * what the processor implements is listed.
 */
public enum CpuFeature {
  /** x87 floating point. */
  FPU(1, Leaf.EDX, 0),
  /** Debugging extensions: CR4.DE. */
  DE(1, Leaf.EDX, 2),
  /** 4 MiB pages. */
  PSE(1, Leaf.EDX, 3),
  /** Time-stamp counter. */
  TSC(1, Leaf.EDX, 4),
  /** RDMSR and WRMSR. */
  MSR(1, Leaf.EDX, 5),
  /** PAE paging. */
  PAE(1, Leaf.EDX, 6),
  /** CMPXCHG8B. */
  CX8(1, Leaf.EDX, 8),
  /** Local APIC. */
  APIC(1, Leaf.EDX, 9),
  /** SYSENTER and SYSEXIT. */
  SEP(1, Leaf.EDX, 11),
  /** Global pages. */
  PGE(1, Leaf.EDX, 13),
  /** CMOVcc. */
  CMOV(1, Leaf.EDX, 15),
  /** Page attribute table: stored, memory types have no effect. */
  PAT(1, Leaf.EDX, 16),
  /** 4 MiB pages above 4 GiB. */
  PSE36(1, Leaf.EDX, 17),
  /** CLFLUSH. */
  CLFSH(1, Leaf.EDX, 19),
  /** MMX. */
  MMX(1, Leaf.EDX, 23),
  /** FXSAVE and FXRSTOR. */
  FXSR(1, Leaf.EDX, 24),
  /** SSE. */
  SSE(1, Leaf.EDX, 25),
  /** SSE2. */
  SSE2(1, Leaf.EDX, 26),
  /** SSE3. */
  SSE3(1, Leaf.ECX, 0),
  /** SSSE3. */
  SSSE3(1, Leaf.ECX, 9),
  /** CMPXCHG16B. */
  CX16(1, Leaf.ECX, 13),
  /** Process-context identifiers. */
  PCID(1, Leaf.ECX, 17),
  /** SSE4.1. */
  SSE4_1(1, Leaf.ECX, 19),
  /** SSE4.2. */
  SSE4_2(1, Leaf.ECX, 20),
  /** POPCNT. */
  POPCNT(1, Leaf.ECX, 23),
  /** MOVBE. */
  MOVBE(1, Leaf.ECX, 22),
  /** Local APIC timer in TSC-deadline mode. */
  TSC_DEADLINE(1, Leaf.ECX, 24),
  /** XSAVE, XRSTOR, XGETBV, XSETBV. */
  XSAVE(1, Leaf.ECX, 26),
  /** RDRAND. */
  RDRAND(1, Leaf.ECX, 30),
  /** A hypervisor is present. */
  HYPERVISOR(1, Leaf.ECX, 31),
  /** The APIC timer runs in every power state. */
  ARAT(6, Leaf.EAX, 2),
  /** RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. */
  FSGSBASE(7, Leaf.EBX, 0),
  /** IA32_TSC_ADJUST. */
  TSC_ADJUST(7, Leaf.EBX, 1),
  /** Supervisor-mode execution prevention. */
  SMEP(7, Leaf.EBX, 7),
  /** INVPCID. */
  INVPCID(7, Leaf.EBX, 10),
  /** Supervisor-mode access prevention. */
  SMAP(7, Leaf.EBX, 20),
  /** 57-bit linear addresses. */
  LA57(7, Leaf.ECX, 16),
  /** LAHF and SAHF in 64-bit mode. */
  LAHF_LM(0x8000_0001, Leaf.ECX, 0),
  /** SYSCALL and SYSRET. */
  SYSCALL(0x8000_0001, Leaf.EDX, 11),
  /** Execute disable. */
  NX(0x8000_0001, Leaf.EDX, 20),
  /** 1 GiB pages. */
  PDPE1GB(0x8000_0001, Leaf.EDX, 26),
  /** RDTSCP and IA32_TSC_AUX. */
  RDTSCP(0x8000_0001, Leaf.EDX, 27),
  /** Long mode. */
  LM(0x8000_0001, Leaf.EDX, 29),
  /** The time-stamp counter runs at a constant rate. */
  INVARIANT_TSC(0x8000_0007, Leaf.EDX, 8);

  final int leaf;
  final int register;
  final int bit;

  CpuFeature(int leaf, int register, int bit) {
    this.leaf = leaf;
    this.register = register;
    this.bit = bit;
  }

  /** Positions of the registers in a CPUID answer. */
  static final class Leaf {
    static final int EAX = 0;
    static final int EBX = 1;
    static final int ECX = 2;
    static final int EDX = 3;

    private Leaf() {}
  }
}
