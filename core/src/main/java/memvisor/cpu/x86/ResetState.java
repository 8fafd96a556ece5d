package memvisor.cpu.x86;

import java.util.Arrays;

/** The state after RESET (Intel SDM vol. 3A, table 10-1). */
final class ResetState {
  private static final int REAL_LIMIT = 0xFFFF;
  private static final int REAL_DATA = 0x93;
  private static final int REAL_CODE = 0x9B;

  private ResetState() {}

  static void apply(Vcpu c) {
    Arrays.fill(c.gpr, 0);
    Arrays.fill(c.xmm, 0);
    Arrays.fill(c.debugRegisters, 0);
    c.debugRegisters[6] = 0xFFFF_0FF0L;
    c.debugRegisters[7] = 0x400;
    c.gpr[Vcpu.RDX] = c.model().cpuid(1, 0, 0)[0] & 0xFFFF_FFFFL;
    c.flags.setValue(2);
    c.rip = 0xFFF0;
    c.cr2 = 0;
    c.xcr0 = 1;
    c.fault = 0;
    c.halted = false;
    c.shutdown = false;
    c.interruptShadow = false;
    c.msrs.reset();
    tables(c);
    c.paging.setCr3(0);
    c.paging.setCr4(0);
    c.paging.setEfer(0);
    c.paging.setCr0(ControlRegisters.CR0_CD | ControlRegisters.CR0_NW | ControlRegisters.CR0_ET);
    segments(c);
    c.privilegeChanged();
    c.controls.pagingControlsChanged();
    c.controls.rootChanged(false);
  }

  private static void tables(Vcpu c) {
    c.gdtBase = 0;
    c.gdtLimit = REAL_LIMIT;
    c.idtBase = 0;
    c.idtLimit = 0x3FF;
  }

  private static void segments(Vcpu c) {
    c.longMode = false;
    for (int segment = Vcpu.ES; segment <= Vcpu.GS; segment++) {
      Segments.put(c, segment, 0, 0, REAL_LIMIT, REAL_DATA);
    }
    Segments.putCode(c, 0xF000, 0xFFFF_0000L, REAL_LIMIT, REAL_CODE, 0);
    Segments.put(c, Vcpu.TR, 0, 0, REAL_LIMIT, Descriptors.PRESENT | Descriptors.TSS_BUSY);
    Segments.put(c, Vcpu.LDTR, 0, 0, REAL_LIMIT, Descriptors.PRESENT | Descriptors.LDT);
  }
}
