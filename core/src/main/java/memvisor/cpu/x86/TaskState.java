package memvisor.cpu.x86;

/** Reads of the task-state segment: stacks and the I/O map (Intel SDM vol. 3A, 7.2 and 7.7). */
final class TaskState {
  private TaskState() {}

  /** RSP0 to RSP2 of a 64-bit TSS; #TS(TR | ext) pending beyond the limit. */
  static long stackPointer64(Vcpu c, int level, int ext) {
    return read(c, 4 + 8 * level, 8, ext);
  }

  /** IST1 to IST7 of a 64-bit TSS. */
  static long interruptStack(Vcpu c, int ist, int ext) {
    return read(c, 28 + 8 * ist, 8, ext);
  }

  /** SP0–2 or ESP0–2 of a 16- or 32-bit TSS. */
  static long stackPointer(Vcpu c, int level, int ext) {
    return is32Bit(c) ? read(c, 4 + 8 * level, 4, ext) : read(c, 2 + 4 * level, 2, ext);
  }

  /** SS0–2 of a 16- or 32-bit TSS. */
  static int stackSelector(Vcpu c, int level, int ext) {
    return (int) (is32Bit(c) ? read(c, 8 + 8 * level, 2, ext) : read(c, 4 + 4 * level, 2, ext));
  }

  private static boolean is32Bit(Vcpu c) {
    return (c.segmentAttributes[Vcpu.TR] & 8) != 0;
  }

  private static long read(Vcpu c, int offset, int sizeBytes, int ext) {
    long limit = c.segmentLimit[Vcpu.TR] & 0xFFFF_FFFFL;
    if (c.segmentAttributes[Vcpu.TR] == 0 || offset + sizeBytes - 1 > limit) {
      c.raise(Vector.TS, c.segmentSelector[Vcpu.TR] & 0xFFFC | ext);
      return 0;
    }
    return c.loadSystem(c.segmentBase[Vcpu.TR] + offset, sizeBytes);
  }

  /**
   * Whether the I/O map lets {@code sizeBytes} at {@code port} through; a fault may be pending
   * instead (Intel SDM vol. 1, 19.5.2).
   */
  static boolean permitsPort(Vcpu c, int port, int sizeBytes) {
    long limit = c.segmentLimit[Vcpu.TR] & 0xFFFF_FFFFL;
    if (!is32Bit(c) || limit < 103) {
      return false;
    }
    long base = c.segmentBase[Vcpu.TR];
    long offset = c.loadSystem(base + 102, 2) + (port >>> 3);
    if (c.fault != 0 || offset + 1 > limit) {
      return false;
    }
    long bits = c.loadSystem(base + offset, 2) >>> (port & 7);
    return c.fault == 0 && (bits & (1 << sizeBytes) - 1) == 0;
  }
}
