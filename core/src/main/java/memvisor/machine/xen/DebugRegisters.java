package memvisor.machine.xen;

import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;

/** DR0–DR7 of a PV guest, which it may set as ring 0 could, within its own address space. */
final class DebugRegisters {
  private static final RegisterName[] NAMES = {
    RegisterName.DR0,
    RegisterName.DR1,
    RegisterName.DR2,
    RegisterName.DR3,
    RegisterName.DR6,
    RegisterName.DR7,
    RegisterName.DR6,
    RegisterName.DR7
  };
  private static final long MONITOR_START = 0xFFFF_8000_0000_0000L;
  private static final long MONITOR_END = 0xFFFF_8800_0000_0000L;

  private DebugRegisters() {}

  static long read(RegisterFile r, int number) {
    return r.get(NAMES[number]);
  }

  /** Writes a register; false if the value is not permitted. */
  static boolean write(RegisterFile r, int number, long value) {
    if (number < 4) {
      boolean canonical = value << 16 >> 16 == value;
      boolean monitors =
          Long.compareUnsigned(value, MONITOR_START) >= 0
              && Long.compareUnsigned(value, MONITOR_END) < 0;
      if (!canonical || monitors) {
        return false;
      }
      r.set(NAMES[number], value);
      return true;
    }
    if (value >>> 32 != 0) {
      return false;
    }
    boolean status = (number & 1) == 0;
    r.set(NAMES[number], status ? value & 0xE00F | 0xFFFF_0FF0L : value & 0xFFFF_0FFFL | 0x400);
    return true;
  }
}
