package memvisor.machine.xen;

import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.mmu.direct.Errno;

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
  static final int COUNT = NAMES.length;

  private static final long GENERAL_DETECT = 1 << 13;
  private static final long BREAK_ON_IO = 2;

  private DebugRegisters() {}

  static long read(RegisterFile r, int number) {
    return r.get(NAMES[number]);
  }

  /** Whether a value of DR7 detects no accesses to debug registers and breaks on no I/O. */
  private static boolean isControl(long value) {
    for (int i = 0; i < 4; i++) {
      boolean enabled = (value >>> 2 * i & 3) != 0;
      if (enabled && (value >>> 16 + 4 * i & 3) == BREAK_ON_IO) {
        return false;
      }
    }
    return (value & GENERAL_DETECT) == 0;
  }

  /** Writes a register; an error if the value is not permitted. */
  static int write(RegisterFile r, int number, long value) {
    if (number < 4) {
      if (!GuestPointers.isGuests(value)) {
        return -Errno.EPERM;
      }
      r.set(NAMES[number], value);
      return 0;
    }
    boolean status = (number & 1) == 0;
    if (value >>> 32 != 0) {
      return -Errno.EINVAL;
    }
    if (!status && !isControl(value)) {
      return -Errno.EPERM;
    }
    r.set(NAMES[number], status ? value & 0xE00F | 0xFFFF_0FF0L : value & 0xFFFF_0FFFL | 0x400);
    return 0;
  }
}
