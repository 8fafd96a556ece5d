package memvisor.cpu.x86;

import memvisor.paging.PagingState;

/** Prints registers the way QEMU's monitor does. */
final class RegisterText {
  private static final RegisterName[][] GENERAL = {
    {RegisterName.RAX, RegisterName.RBX, RegisterName.RCX, RegisterName.RDX},
    {RegisterName.RSI, RegisterName.RDI, RegisterName.RBP, RegisterName.RSP},
    {RegisterName.R8, RegisterName.R9, RegisterName.R10, RegisterName.R11},
    {RegisterName.R12, RegisterName.R13, RegisterName.R14, RegisterName.R15},
  };

  private static final SegmentName[] SHOWN = {
    SegmentName.ES, SegmentName.CS, SegmentName.SS, SegmentName.DS,
    SegmentName.FS, SegmentName.GS, SegmentName.LDTR, SegmentName.TR,
  };

  /** System descriptor types (Intel SDM vol. 3A, table 3-2) in QEMU's words. */
  private static final String[] SYSTEM_32 = {
    "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
    "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved",
    "IntGate32", "TrapGate32",
  };

  private static final String[] SYSTEM_64 = {
    "<hiword>",
    "Reserved",
    "LDT",
    "Reserved",
    "Reserved",
    "Reserved",
    "Reserved",
    "Reserved",
    "Reserved",
    "TSS64-avl",
    "Reserved",
    "TSS64-busy",
    "CallGate64",
    "Reserved",
    "IntGate64",
    "TrapGate64",
  };

  private RegisterText() {}

  static String describe(RegisterFile r, boolean halted) {
    StringBuilder out = new StringBuilder("CPU#0" + System.lineSeparator());
    for (RegisterName[] row : GENERAL) {
      for (RegisterName name : row) {
        out.append("%-3s=%016x ".formatted(name, r.get(name)));
      }
      endLine(out);
    }
    long flags = r.get(RegisterName.RFLAGS);
    out.append(
        "RIP=%016x RFL=%08x [%s] CPL=%d II=%d A20=1 SMM=0 HLT=%d%n"
            .formatted(
                r.get(RegisterName.RIP),
                flags,
                letters(flags),
                r.privilegeLevel(),
                r.interruptsInhibited() ? 1 : 0,
                halted ? 1 : 0));
    for (SegmentName name : SHOWN) {
      segment(out, r, name);
    }
    table(out, "GDT", r.get(RegisterName.GDTR_BASE), r.get(RegisterName.GDTR_LIMIT));
    table(out, "IDT", r.get(RegisterName.IDTR_BASE), r.get(RegisterName.IDTR_LIMIT));
    out.append(
        "CR0=%08x CR2=%016x CR3=%016x CR4=%08x%n"
            .formatted(
                r.get(RegisterName.CR0),
                r.get(RegisterName.CR2),
                r.get(RegisterName.CR3),
                r.get(RegisterName.CR4)));
    out.append(
        "DR0=%016x DR1=%016x DR2=%016x DR3=%016x %nDR6=%016x DR7=%016x%n"
            .formatted(
                r.get(RegisterName.DR0),
                r.get(RegisterName.DR1),
                r.get(RegisterName.DR2),
                r.get(RegisterName.DR3),
                r.get(RegisterName.DR6),
                r.get(RegisterName.DR7)));
    out.append("EFER=%016x%n".formatted(r.get(RegisterName.EFER)));
    floatingPoint(out, r);
    return out.toString();
  }

  private static void floatingPoint(StringBuilder out, RegisterFile r) {
    FpuState fpu = r.floatingPoint();
    out.append(
        "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x%n"
            .formatted(fpu.control, fpu.statusWord(), fpu.top, fpu.abridgedTags(), fpu.mxcsr));
    for (int i = 0; i < 8; i++) {
      out.append("FPR%d=%016x %04x".formatted(i, fpu.significand[i], fpu.signExponent[i]));
      out.append(i % 2 == 0 ? " " : System.lineSeparator());
    }
    for (int i = 0; i < 16; i++) {
      long[] halves = r.xmm(i);
      out.append("XMM%02d=%016x %016x".formatted(i, halves[1], halves[0]));
      out.append(i % 2 == 0 ? " " : System.lineSeparator());
    }
  }

  private static void endLine(StringBuilder out) {
    out.setLength(out.length() - 1);
    out.append(System.lineSeparator());
  }

  private static void segment(StringBuilder out, RegisterFile r, SegmentName name) {
    SegmentState s = r.segment(name);
    String shown = name == SegmentName.LDTR ? "LDT" : name.name();
    out.append(
        "%-3s=%04x %016x %08x %08x%s%n"
            .formatted(shown, s.selector(), s.base(), s.limit(), upperHalf(s), kind(r, s)));
  }

  /** Descriptor bits 32–63 but for the base, as QEMU shows them. */
  private static int upperHalf(SegmentState s) {
    int attributes = s.attributes();
    boolean granular = (attributes & 1 << 15) != 0;
    int limit19To16 = attributes == 0 ? 0 : (granular ? s.limit() >>> 28 : s.limit() >>> 16) & 0xF;
    return (attributes & 0xFF) << 8 | (attributes & 0xF000) << 8 | limit19To16 << 16;
  }

  private static String kind(RegisterFile r, SegmentState s) {
    int attributes = s.attributes();
    if ((r.get(RegisterName.CR0) & 1) == 0 || (attributes & 1 << 7) == 0) {
      return "";
    }
    boolean longMode = (r.get(RegisterName.EFER) & PagingState.EFER_LMA) != 0;
    String what =
        (attributes & 1 << 4) == 0
            ? (longMode ? SYSTEM_64 : SYSTEM_32)[attributes & 15]
            : (attributes & 1 << 3) != 0 ? code(attributes) : data(attributes, longMode);
    return " DPL=" + Descriptors.dpl(attributes) + " " + what;
  }

  private static String code(int attributes) {
    String size =
        (attributes & Descriptors.LONG) != 0
            ? "CS64"
            : (attributes & Descriptors.BIG) != 0 ? "CS32" : "CS16";
    return size + flagLetters(attributes, "CRA");
  }

  private static String data(int attributes, boolean longMode) {
    boolean wide = longMode || (attributes & Descriptors.BIG) != 0;
    return (wide ? "DS  " : "DS16") + flagLetters(attributes, "EWA");
  }

  /** Type bits 2, 1 and 0 as letters or dashes. */
  private static String flagLetters(int attributes, String names) {
    StringBuilder out = new StringBuilder(" [");
    for (int i = 0; i < 3; i++) {
      out.append((attributes & 4 >> i) != 0 ? names.charAt(i) : '-');
    }
    return out.append(']').toString();
  }

  private static void table(StringBuilder out, String name, long base, long limit) {
    out.append("%s=     %016x %08x%n".formatted(name, base, limit));
  }

  private static String letters(long flags) {
    String names = "DOSZAPC";
    int[] bits = {Flags.DF, Flags.OF, Flags.SF, Flags.ZF, Flags.AF, Flags.PF, Flags.CF};
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < bits.length; i++) {
      out.append((flags & bits[i]) != 0 ? names.charAt(i) : '-');
    }
    return out.toString();
  }
}
