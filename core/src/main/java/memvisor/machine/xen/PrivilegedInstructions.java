package memvisor.machine.xen;

import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.SegmentName;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.DirectVcpu;
import memvisor.mmu.direct.Errno;

/**
 * Instructions of ring 0 that a PV kernel may execute all the same, because the monitor performs
 * them (xen/arch/x86/pv/emul-priv-op.c), and CPUID behind its prefix.
 */
final class PrivilegedInstructions {
  private static final int LONGEST = 15;

  /** Elements of INS or OUTS per exit. */
  private static final int ELEMENTS_AT_ONCE = 64;

  private static final long CR0_TS = 1 << 3;
  private static final long CR4_GUEST = 1 << 2 | 1 << 3;
  private static final RegisterName[] NAMES = RegisterName.values();

  /** UD2, "xen", CPUID. */
  private static final int[] FORCED_CPUID = {0x0F, 0x0B, 'x', 'e', 'n', 0x0F, 0xA2};

  /** The debug console's, as on a PC. */
  private static final int DEBUG_PORT = 0xE9;

  private static final int MSR_TSC = 0x10;
  private static final int MSR_APIC_BASE = 0x1B;
  private static final int MSR_PAT = 0x277;
  private static final int MSR_EFER = 0xC000_0080;
  private static final int MSR_FS_BASE = 0xC000_0100;
  private static final int MSR_GS_BASE = 0xC000_0101;
  private static final int MSR_KERNEL_GS_BASE = 0xC000_0102;

  private static final int MSR_FEATURE_CONTROL = 0x3A;
  private static final int MSR_MICROCODE = 0x8B;
  private static final int MSR_PLATFORM_INFO = 0xCE;
  private static final int MSR_MISC_FEATURES = 0x140;
  private static final int MSR_MACHINE_CHECK_BANKS = 0x179;
  private static final int MSR_MACHINE_CHECK_STATUS = 0x17A;
  private static final int MSR_MISC_ENABLE = 0x1A0;
  private static final int MSR_PERFORMANCE_CAPABILITIES = 0x345;
  private static final int MSR_HYPERCALL_PAGE = 0x4000_0000;

  /** Fast strings; no branch trace store, no event sampling (SDM vol. 4, 2.1). */
  private static final long MISC_ENABLE_VALUE = 0x1801;

  /** What Xen programs, and Linux takes over. */
  private static final long PAT_VALUE = 0x0501_0007_0406L;

  private final Domain domain;
  private final PvCpu cpu;
  private final RegisterFile r;
  private final DirectVcpu mmu;
  private final GuestPointers memory;

  private final byte[] code = new byte[LONGEST];
  private int available;
  private int at;
  private int rex;
  private int operandSize;
  private int addressSize;
  private boolean repeat;

  /** Whether the instruction ended in a fault of another kind, which has been delivered. */
  private boolean faulted;

  private SegmentName segment = SegmentName.DS;

  PrivilegedInstructions(Domain domain, PvCpu cpu) {
    this.domain = domain;
    this.cpu = cpu;
    r = domain.registers();
    mmu = domain.mmu();
    memory = domain.memory();
  }

  /** Performs CPUID if its prefix stands at RIP. */
  boolean emulateCpuid() {
    long rip = r.get(RegisterName.RIP);
    int count = memory.fetch(rip, code);
    for (int i = 0; i < FORCED_CPUID.length; i++) {
      if (i >= count || (code[i] & 0xFF) != FORCED_CPUID[i]) {
        return false;
      }
    }
    int leaf = (int) r.get(RegisterName.RAX);
    domain.count(ExitReason.CPUID, leaf);
    int[] answer = XenCpuid.answer(domain, leaf, (int) r.get(RegisterName.RCX));
    r.set(RegisterName.RAX, answer[0] & 0xFFFF_FFFFL);
    r.set(RegisterName.RBX, answer[1] & 0xFFFF_FFFFL);
    r.set(RegisterName.RCX, answer[2] & 0xFFFF_FFFFL);
    r.set(RegisterName.RDX, answer[3] & 0xFFFF_FFFFL);
    r.set(RegisterName.RIP, rip + FORCED_CPUID.length);
    return true;
  }

  /** Performs the instruction at RIP that raised #GP(0), if it is one of these. */
  boolean emulate() {
    long rip = r.get(RegisterName.RIP);
    if (r.codeBits() != 64) {
      return false;
    }
    available = memory.fetch(rip, code);
    at = 0;
    faulted = false;
    int opcode = prefixes();
    boolean done = opcode == 0x0F ? secondary(next()) : primary(opcode);
    if (done) {
      domain.count(ExitReason.PRIVILEGED_INSTRUCTION, opcode);
    }
    if (done && !faulted) {
      r.set(RegisterName.RIP, rip + at);
    }
    return done;
  }

  private int next() {
    return at < available ? code[at++] & 0xFF : -1;
  }

  private int prefixes() {
    rex = 0;
    operandSize = 4;
    addressSize = 8;
    repeat = false;
    segment = SegmentName.DS;
    while (true) {
      int b = next();
      switch (b) {
        case 0x66 -> operandSize = 2;
        case 0x67 -> addressSize = 4;
        case 0xF2, 0xF3 -> repeat = true;
        case 0x64 -> segment = SegmentName.FS;
        case 0x65 -> segment = SegmentName.GS;
        case 0x26, 0x2E, 0x36, 0x3E -> {
          // No effect in 64-bit code.
        }
        default -> {
          if (b >= 0x40 && b < 0x50) {
            rex = b;
            b = next();
          }
          return b;
        }
      }
    }
  }

  // ---- one-byte opcodes ----------------------------------------------------------------------

  private boolean primary(int opcode) {
    if (!cpu.hasIoPrivilege()) {
      return false;
    }
    switch (opcode) {
      case 0xFA, 0xFB -> {
        return true; // CLI, STI: the guest's interrupt flag is not there.
      }
      case 0xE4, 0xE5, 0xE6, 0xE7 -> {
        port(opcode, next());
        return true;
      }
      case 0xEC, 0xED, 0xEE, 0xEF -> {
        port(opcode, (int) r.get(RegisterName.RDX) & 0xFFFF);
        return true;
      }
      case 0x6C, 0x6D, 0x6E, 0x6F -> {
        return portString(opcode);
      }
      default -> {
        return false;
      }
    }
  }

  private int portSize(int opcode) {
    return (opcode & 1) == 0 ? 1 : operandSize;
  }

  /** No port is the guest's but the debug console's: reads are all ones, writes go nowhere. */
  private void port(int opcode, int number) {
    long rax = r.get(RegisterName.RAX);
    if ((opcode & 2) != 0) {
      if (number == DEBUG_PORT) {
        domain.debug((int) rax & 0xFF);
      }
    } else {
      r.set(
          RegisterName.RAX,
          switch (portSize(opcode)) {
            case 1 -> rax | 0xFF;
            case 2 -> rax | 0xFFFF;
            default -> 0xFFFF_FFFFL;
          });
    }
  }

  private boolean portString(int opcode) {
    boolean in = opcode < 0x6E;
    RegisterName index = in ? RegisterName.RDI : RegisterName.RSI;
    int size = portSize(opcode);
    long mask = addressSize == 8 ? -1L : 0xFFFF_FFFFL;
    long step = (r.get(RegisterName.RFLAGS) & PvCpu.FLAG_DF) != 0 ? -size : size;
    long left = repeat ? r.get(RegisterName.RCX) & mask : 1;
    for (int i = 0; i < ELEMENTS_AT_ONCE && left != 0; i++) {
      long gva = r.get(index) & mask;
      long base = in || segment == SegmentName.DS ? 0 : r.base(segment);
      if (in) {
        memory.store(gva, size, -1);
      } else {
        memory.load(base + gva, size);
      }
      if (memory.takeFailure()) {
        return pageFault();
      }
      r.set(index, r.get(index) + step & mask);
      left--;
      if (repeat) {
        r.set(RegisterName.RCX, left);
      }
    }
    if (left != 0) {
      // No count may hold the monitor up, and no instruction retires before the last element.
      at = 0;
      domain.endSlice();
    }
    return true;
  }

  /** The buffer of INS or OUTS cannot be used; false leaves it a #GP. */
  private boolean pageFault() {
    if (!GuestPointers.isGuests(memory.failedGva())) {
      return false;
    }
    r.set(RegisterName.CR2, memory.failedGva());
    cpu.trap(PvCpu.VECTOR_PF, memory.failedCode());
    faulted = true;
    return true;
  }

  // ---- 0F opcodes ----------------------------------------------------------------------------

  private boolean secondary(int opcode) {
    if (!mmu.inKernel()) {
      return false;
    }
    return switch (opcode) {
      case 0x06 -> {
        setTaskSwitched(false);
        yield true;
      }
      case 0x09 -> true; // WBINVD: no memory of the guest's is cached other than coherently.
      case 0x20, 0x22 -> control(opcode == 0x22);
      case 0x21, 0x23 -> debug(opcode == 0x23);
      case 0x30 -> writeMsr();
      case 0x31 -> {
        setPair(domain.nanos());
        yield true;
      }
      case 0x32 -> readMsr();
      default -> false;
    };
  }

  private void setPair(long value) {
    r.set(RegisterName.RAX, value & 0xFFFF_FFFFL);
    r.set(RegisterName.RDX, value >>> 32);
  }

  /** Sets virtual CR0.TS. */
  void setTaskSwitched(boolean on) {
    long cr0 = r.get(RegisterName.CR0);
    long changed = on ? cr0 | CR0_TS : cr0 & ~CR0_TS;
    if (changed != cr0) {
      r.setTaskSwitched(on);
    }
  }

  private boolean control(boolean write) {
    int modrm = next();
    int register = modrm >>> 3 & 7 | (rex & 4) << 1;
    RegisterName operand = NAMES[modrm & 7 | (rex & 1) << 3];
    if (modrm < 0) {
      return false;
    }
    return write ? writeControl(register, r.get(operand)) : readControl(register, operand);
  }

  private boolean readControl(int register, RegisterName target) {
    switch (register) {
      case 0 -> r.set(target, r.get(RegisterName.CR0));
      case 2 -> r.set(target, r.get(RegisterName.CR2));
      case 3 -> r.set(target, mmu.kernelRoot() << 12);
      case 4 -> r.set(target, r.get(RegisterName.CR4) & ~(1L << 7));
      default -> {
        return false;
      }
    }
    return true;
  }

  private boolean writeControl(int register, long value) {
    switch (register) {
      case 0 -> {
        if (((value ^ r.get(RegisterName.CR0)) & ~CR0_TS) != 0) {
          return false;
        }
        setTaskSwitched((value & CR0_TS) != 0);
      }
      case 2 -> r.set(RegisterName.CR2, value);
      case 3 -> {
        int error = mmu.newBasePointer(value >>> 12);
        if (error == -Errno.ERESTART) {
          at = 0; // The instruction is executed again, and goes on.
        }
        return error == 0 || error == -Errno.ERESTART;
      }
      case 4 -> {
        long cr4 = r.get(RegisterName.CR4);
        long changed = cr4 & ~CR4_GUEST | value & CR4_GUEST;
        if (changed != cr4) {
          r.set(RegisterName.CR4, changed);
        }
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private boolean debug(boolean write) {
    int modrm = next();
    int register = modrm >>> 3 & 7 | (rex & 4) << 1;
    RegisterName operand = NAMES[modrm & 7 | (rex & 1) << 3];
    if (modrm < 0 || register > 7) {
      return false;
    }
    if (write) {
      return DebugRegisters.write(r, register, r.get(operand)) == 0;
    }
    r.set(operand, DebugRegisters.read(r, register));
    return true;
  }

  // ---- MSRs ----------------------------------------------------------------------------------

  private boolean readMsr() {
    int index = (int) r.get(RegisterName.RCX);
    switch (index) {
      case MSR_TSC -> setPair(domain.nanos());
      case MSR_APIC_BASE -> setPair(0xFEE0_0900L);
      case MSR_PAT -> setPair(PAT_VALUE);
      case MSR_EFER -> setPair(r.get(RegisterName.EFER));
      case MSR_FS_BASE -> setPair(r.base(SegmentName.FS));
      case MSR_GS_BASE -> setPair(r.base(SegmentName.GS));
      case MSR_KERNEL_GS_BASE -> setPair(r.get(RegisterName.KERNEL_GS_BASE));
      case MSR_FEATURE_CONTROL -> setPair(1); // locked, and so without VMX
      case MSR_MICROCODE -> setPair(1L << 32);
      case MSR_MISC_ENABLE -> setPair(MISC_ENABLE_VALUE);
      case MSR_PLATFORM_INFO,
          MSR_MISC_FEATURES,
          MSR_PERFORMANCE_CAPABILITIES,
          MSR_MACHINE_CHECK_BANKS,
          MSR_MACHINE_CHECK_STATUS,
          MSR_HYPERCALL_PAGE ->
          setPair(0);
      default -> {
        // Before the guest can handle #GP, an unknown register reads as zero.
        if (cpu.hasTrap(PvCpu.VECTOR_GP)) {
          return false;
        }
        setPair(0);
      }
    }
    return true;
  }

  private boolean writeMsr() {
    int index = (int) r.get(RegisterName.RCX);
    long value = r.get(RegisterName.RAX) & 0xFFFF_FFFFL | r.get(RegisterName.RDX) << 32;
    return switch (index) {
      case MSR_FS_BASE -> cpu.setSegmentBase(0, value);
      case MSR_GS_BASE -> cpu.setSegmentBase(2, value);
      case MSR_KERNEL_GS_BASE -> cpu.setSegmentBase(1, value);
      case MSR_EFER -> value == r.get(RegisterName.EFER);
      // Dropped, as the processor's own.
      case MSR_MICROCODE, MSR_MISC_ENABLE -> true;
      default -> !cpu.hasTrap(PvCpu.VECTOR_GP);
    };
  }
}
