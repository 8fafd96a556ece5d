package memvisor.cpu.x86;

/** Prints registers the way QEMU's monitor does. */
final class RegisterText {
  private static final RegisterName[][] GENERAL = {
    {RegisterName.RAX, RegisterName.RBX, RegisterName.RCX, RegisterName.RDX},
    {RegisterName.RSI, RegisterName.RDI, RegisterName.RBP, RegisterName.RSP},
    {RegisterName.R8, RegisterName.R9, RegisterName.R10, RegisterName.R11},
    {RegisterName.R12, RegisterName.R13, RegisterName.R14, RegisterName.R15},
  };

  private RegisterText() {}

  static String describe(RegisterFile r, boolean halted) {
    StringBuilder out = new StringBuilder();
    for (RegisterName[] row : GENERAL) {
      for (RegisterName name : row) {
        out.append("%-3s=%016x ".formatted(name, r.get(name)));
      }
      endLine(out);
    }
    long flags = r.get(RegisterName.RFLAGS);
    out.append(
        "RIP=%016x RFL=%08x [%s] CPL=%d HLT=%d%n"
            .formatted(
                r.get(RegisterName.RIP),
                flags,
                letters(flags),
                r.privilegeLevel(),
                halted ? 1 : 0));
    for (SegmentName name : SegmentName.values()) {
      segment(out, name, r.segment(name));
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
        "DR0=%016x DR1=%016x DR2=%016x DR3=%016x%nDR6=%016x DR7=%016x%n"
            .formatted(
                r.get(RegisterName.DR0),
                r.get(RegisterName.DR1),
                r.get(RegisterName.DR2),
                r.get(RegisterName.DR3),
                r.get(RegisterName.DR6),
                r.get(RegisterName.DR7)));
    out.append("EFER=%016x%n".formatted(r.get(RegisterName.EFER)));
    return out.toString();
  }

  private static void endLine(StringBuilder out) {
    out.setLength(out.length() - 1);
    out.append(System.lineSeparator());
  }

  private static void segment(StringBuilder out, SegmentName name, SegmentState s) {
    // QEMU shows descriptor bits 32–63: attributes above bit 8, the limit's top above bit 16.
    int flags = (s.attributes() & 0xFF) << 8 | (s.attributes() & 0xF000) << 8;
    String shown = name == SegmentName.LDTR ? "LDT" : name.name();
    out.append(
        "%-3s=%04x %016x %08x %08x%n".formatted(shown, s.selector(), s.base(), s.limit(), flags));
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
