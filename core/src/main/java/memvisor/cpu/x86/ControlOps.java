package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/** Control and debug registers, MSRs, CPUID, time, TLB maintenance, HLT, CLI and STI. */
final class ControlOps {
  private ControlOps() {}

  /** #GP(0) unless CPL is 0; in real mode CPL is 0. */
  private static boolean denied(Vcpu c) {
    if (c.cpl != 0) {
      c.raise(Vector.GP, 0);
      return true;
    }
    return false;
  }

  /** MOV, XGETBV, … that do nothing but need CPL 0: WBINVD, INVD. */
  static int privilegedNop(Vcpu c, SystemOp op) {
    return denied(c) ? MicroOp.FAULT : MicroOp.NEXT;
  }

  static int undefined(Vcpu c, SystemOp op) {
    return c.raise(Vector.UD, 0);
  }

  static int nop(Vcpu c, SystemOp op) {
    return MicroOp.NEXT;
  }

  // ---- control registers -------------------------------------------------------------------

  static int readControl(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    PagingState paging = c.paging;
    long value =
        switch (op.reg) {
          case 0 -> paging.cr0();
          case 2 -> c.cr2;
          case 3 -> paging.cr3();
          case 4 -> paging.cr4();
          default -> c.monitor.taskPriority();
        };
    c.gpr[op.rm] = c.longMode ? value : value & 0xFFFF_FFFFL;
    return MicroOp.NEXT;
  }

  static int writeControl(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    long value = c.longMode ? c.gpr[op.rm] : c.gpr[op.rm] & 0xFFFF_FFFFL;
    return switch (op.reg) {
      case 0 -> c.controls.writeCr0(value);
      case 2 -> {
        c.cr2 = value;
        yield MicroOp.NEXT;
      }
      case 3 -> c.controls.writeCr3(value);
      case 4 -> c.controls.writeCr4(value);
      default -> writeTaskPriority(c, value);
    };
  }

  private static int writeTaskPriority(Vcpu c, long value) {
    if (value >>> 4 != 0) {
      return c.raise(Vector.GP, 0);
    }
    c.monitor.setTaskPriority((int) value);
    return MicroOp.END;
  }

  static int clts(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    c.paging.setCr0(c.paging.cr0() & ~ControlRegisters.CR0_TS);
    return MicroOp.END;
  }

  static int smsw(Vcpu c, SystemOp op) {
    return op.writeWord(c, c.paging.cr0());
  }

  /** LMSW sets PE but never clears it. */
  static int lmsw(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    int value = op.readWord(c);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    long cr0 = c.paging.cr0();
    return c.controls.writeCr0(cr0 & ~0xEL | value & 0xF);
  }

  // ---- debug registers ---------------------------------------------------------------------

  /** The register behind a number, 4 and 5 being 6 and 7; -1 with #UD pending. */
  private static int debugRegister(Vcpu c, int number) {
    if (number > 7 || (number & 6) == 4 && (c.paging.cr4() & ControlRegisters.CR4_DE) != 0) {
      c.raise(Vector.UD, 0);
      return -1;
    }
    return (number & 6) == 4 ? number + 2 : number;
  }

  static int readDebug(Vcpu c, SystemOp op) {
    int number = debugRegister(c, op.reg);
    if (number < 0 || denied(c)) {
      return MicroOp.FAULT;
    }
    c.gpr[op.rm] = c.debugRegisters[number];
    return MicroOp.NEXT;
  }

  static int writeDebug(Vcpu c, SystemOp op) {
    int number = debugRegister(c, op.reg);
    if (number < 0 || denied(c)) {
      return MicroOp.FAULT;
    }
    long value = c.longMode ? c.gpr[op.rm] : c.gpr[op.rm] & 0xFFFF_FFFFL;
    if (number >= 6 && value >>> 32 != 0) {
      return c.raise(Vector.GP, 0);
    }
    c.debugRegisters[number] =
        switch (number) {
          case 6 -> value & 0xE00F | 0xFFFF_0FF0L;
          case 7 -> value & 0xFFFF_2BFFL | 0x400;
          default -> value;
        };
    return MicroOp.NEXT;
  }

  // ---- MSRs, CPUID, time -------------------------------------------------------------------

  static int rdmsr(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    if (!c.msrs.read((int) c.gpr[Vcpu.RCX])) {
      return c.raise(Vector.GP, 0);
    }
    setPair(c, c.msrs.value());
    return MicroOp.NEXT;
  }

  static int wrmsr(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    if (!c.msrs.write((int) c.gpr[Vcpu.RCX], pair(c))) {
      return c.raise(Vector.GP, 0);
    }
    return MicroOp.END;
  }

  private static void setPair(Vcpu c, long value) {
    c.gpr[Vcpu.RAX] = value & 0xFFFF_FFFFL;
    c.gpr[Vcpu.RDX] = value >>> 32;
  }

  private static long pair(Vcpu c) {
    return c.gpr[Vcpu.RAX] & 0xFFFF_FFFFL | c.gpr[Vcpu.RDX] << 32;
  }

  private static boolean timeDenied(Vcpu c) {
    boolean denied = c.cpl != 0 && (c.paging.cr4() & ControlRegisters.CR4_TSD) != 0;
    if (denied) {
      c.raise(Vector.GP, 0);
    }
    return denied;
  }

  static int rdtsc(Vcpu c, SystemOp op) {
    if (timeDenied(c)) {
      return MicroOp.FAULT;
    }
    setPair(c, c.msrs.timestamp());
    return MicroOp.NEXT;
  }

  static int rdtscp(Vcpu c, SystemOp op) {
    if (!c.has(CpuFeature.RDTSCP)) {
      return c.raise(Vector.UD, 0);
    }
    if (timeDenied(c)) {
      return MicroOp.FAULT;
    }
    setPair(c, c.msrs.timestamp());
    c.gpr[Vcpu.RCX] = c.msrs.tscAux;
    return MicroOp.NEXT;
  }

  /** No performance counter exists. */
  static int rdpmc(Vcpu c, SystemOp op) {
    return c.raise(Vector.GP, 0);
  }

  static int cpuid(Vcpu c, SystemOp op) {
    int leaf = (int) c.gpr[Vcpu.RAX];
    int subleaf = (int) c.gpr[Vcpu.RCX];
    c.monitor.cpuidExecuted(leaf, subleaf);
    int[] r = c.model().cpuid(leaf, subleaf, 0);
    if (leaf == 1 && (c.paging.cr4() & ControlRegisters.CR4_OSXSAVE) != 0) {
      r[2] |= 1 << 27;
    }
    c.gpr[Vcpu.RAX] = r[0] & 0xFFFF_FFFFL;
    c.gpr[Vcpu.RBX] = r[1] & 0xFFFF_FFFFL;
    c.gpr[Vcpu.RCX] = r[2] & 0xFFFF_FFFFL;
    c.gpr[Vcpu.RDX] = r[3] & 0xFFFF_FFFFL;
    return MicroOp.NEXT;
  }

  static int xgetbv(Vcpu c, SystemOp op) {
    if ((c.paging.cr4() & ControlRegisters.CR4_OSXSAVE) == 0) {
      return c.raise(Vector.UD, 0);
    }
    if ((int) c.gpr[Vcpu.RCX] != 0) {
      return c.raise(Vector.GP, 0);
    }
    setPair(c, c.xcr0);
    return MicroOp.NEXT;
  }

  /** XCR0 holds x87 and SSE; x87 cannot be switched off. */
  static int xsetbv(Vcpu c, SystemOp op) {
    if ((c.paging.cr4() & ControlRegisters.CR4_OSXSAVE) == 0) {
      return c.raise(Vector.UD, 0);
    }
    long value = pair(c);
    boolean invalid = (int) c.gpr[Vcpu.RCX] != 0 || (value & ~3L) != 0 || (value & 1) == 0;
    if (invalid && c.cpl == 0) {
      return c.raise(Vector.GP, 0);
    }
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    c.xcr0 = value;
    return MicroOp.END;
  }

  /** A deterministic generator (SplitMix64), so that runs repeat; always delivers. */
  static int rdrand(Vcpu c, SystemOp op) {
    if (!c.has(CpuFeature.RDRAND)) {
      return c.raise(Vector.UD, 0);
    }
    c.randomState += 0x9E37_79B9_7F4A_7C15L;
    long z = c.randomState;
    z = (z ^ z >>> 30) * 0xBF58_476D_1CE4_E5B9L;
    z = (z ^ z >>> 27) * 0x94D0_49BB_1331_11EBL;
    SystemOp.writeRegister(c, op.rm, op.size, z ^ z >>> 31);
    c.flags.setStatus(Flags.CF);
    return MicroOp.NEXT;
  }

  // ---- translations ------------------------------------------------------------------------

  static int invlpg(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    long gva = op.address().offset(c) + c.segmentBase[op.address().segment];
    if (Segments.isCanonical(c, gva)) {
      c.controls.invalidatePage(c.longMode ? gva : gva & 0xFFFF_FFFFL);
    }
    return MicroOp.END;
  }

  static int invpcid(Vcpu c, SystemOp op) {
    if (!c.has(CpuFeature.INVPCID)) {
      return c.raise(Vector.UD, 0);
    }
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    long gva = op.linear(c, 16, false);
    long low = c.fault != 0 ? 0 : c.load64(gva);
    long address = c.fault != 0 ? 0 : c.load64(gva + 8);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    long type = c.longMode ? c.gpr[op.reg] : c.gpr[op.reg] & 0xFFFF_FFFFL;
    int pcid = (int) low & 0xFFF;
    boolean tagged = (c.paging.cr4() & PagingState.CR4_PCIDE) != 0;
    boolean invalid =
        type < 0
            || type > 3
            || type < 2 && (low >>> 12 != 0 || !tagged && pcid != 0)
            || type == 0 && !Segments.isCanonical(c, address);
    if (invalid) {
      return c.raise(Vector.GP, 0);
    }
    c.controls.invalidatePcid((int) type, pcid, address);
    return MicroOp.END;
  }

  // ---- interrupts and halt -----------------------------------------------------------------

  static int hlt(Vcpu c, SystemOp op) {
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    c.halted = true;
    return MicroOp.END;
  }

  /** CLI and STI need CPL ≤ IOPL. */
  private static boolean flagDenied(Vcpu c) {
    boolean denied = c.cpl > (int) (c.flags.system & Flags.IOPL) >>> 12;
    if (denied) {
      c.raise(Vector.GP, 0);
    }
    return denied;
  }

  static int cli(Vcpu c, SystemOp op) {
    if (flagDenied(c)) {
      return MicroOp.FAULT;
    }
    c.flags.system &= ~(long) Flags.IF;
    return MicroOp.NEXT;
  }

  /** Interrupts come after the next instruction, if they were off. */
  static int sti(Vcpu c, SystemOp op) {
    if (flagDenied(c)) {
      return MicroOp.FAULT;
    }
    c.interruptShadow = (c.flags.system & Flags.IF) == 0;
    c.flags.system |= Flags.IF;
    return MicroOp.END;
  }

  static int clac(Vcpu c, SystemOp op) {
    return setAc(c, 0);
  }

  static int stac(Vcpu c, SystemOp op) {
    return setAc(c, Flags.AC);
  }

  private static int setAc(Vcpu c, int value) {
    if (!c.has(CpuFeature.SMAP) || c.cpl != 0) {
      return c.raise(Vector.UD, 0);
    }
    c.flags.system = c.flags.system & ~(long) Flags.AC | value;
    c.privilegeChanged();
    return MicroOp.NEXT;
  }

  // ---- interrupts by instruction -----------------------------------------------------------

  static int softwareInterrupt(Vcpu c, SystemOp op) {
    return ExceptionDelivery.softwareInterrupt(c, (int) op.immediate & 0xFF, op.nextRip(c));
  }

  static int into(Vcpu c, SystemOp op) {
    if ((c.flags.value() & Flags.OF) == 0) {
      return MicroOp.NEXT;
    }
    return ExceptionDelivery.softwareInterrupt(c, Vector.OF, op.nextRip(c));
  }

  // ---- FS and GS bases ---------------------------------------------------------------------

  static int swapgs(Vcpu c, SystemOp op) {
    if (!c.longMode) {
      return c.raise(Vector.UD, 0);
    }
    if (denied(c)) {
      return MicroOp.FAULT;
    }
    long base = c.segmentBase[Vcpu.GS];
    c.segmentBase[Vcpu.GS] = c.msrs.kernelGsBase;
    c.msrs.kernelGsBase = base;
    return MicroOp.NEXT;
  }

  /** RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: ModRM.reg 0 to 3. */
  static int segmentBase(Vcpu c, SystemOp op) {
    if (!c.longMode || (c.paging.cr4() & ControlRegisters.CR4_FSGSBASE) == 0) {
      return c.raise(Vector.UD, 0);
    }
    int segment = (op.reg & 1) == 0 ? Vcpu.FS : Vcpu.GS;
    boolean wide = op.size == 8;
    if ((op.reg & 2) == 0) {
      SystemOp.writeRegister(c, op.rm, wide ? 8 : 4, c.segmentBase[segment]);
      return MicroOp.NEXT;
    }
    long base = wide ? c.gpr[op.rm] : c.gpr[op.rm] & 0xFFFF_FFFFL;
    if (!c.isCanonicalForRegisters(base)) {
      return c.raise(Vector.GP, 0);
    }
    c.segmentBase[segment] = base;
    return MicroOp.NEXT;
  }
}
