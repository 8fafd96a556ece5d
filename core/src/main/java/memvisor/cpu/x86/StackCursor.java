package memvisor.cpu.x86;

/**
 * A stack that is being pushed to or popped from before the transfer of control that uses it is
 * certain: nothing in the vCPU changes until {@link #commit}.
 *
 * <p>Pushes and pops after a fault do nothing; the caller tests {@link Vcpu#fault} once at the end.
 */
final class StackCursor {
  private static final long NO_MASK = -1L;

  private final Vcpu c;
  private long base;
  private long mask;
  private int limit;
  private int attributes;
  private int faultCode;
  private long pointer;

  StackCursor(Vcpu c) {
    this.c = c;
  }

  /** The running stack; {@code faultCode} is what #SS reports. */
  void openCurrent(int faultCode) {
    int ss = c.segmentAttributes[Vcpu.SS];
    if (c.longMode) {
      open(0, NO_MASK, 0, ss, c.gpr[Vcpu.RSP], faultCode);
    } else {
      open(
          c.segmentBase[Vcpu.SS],
          mask(ss),
          c.segmentLimit[Vcpu.SS],
          ss,
          c.gpr[Vcpu.RSP],
          faultCode);
    }
  }

  /** A stack in the segment with this descriptor, outside 64-bit mode. */
  void openSegment(long raw, long stackPointer, int faultCode) {
    int ss = Descriptors.attributes(raw);
    open(Descriptors.base(raw), mask(ss), Descriptors.limit(raw), ss, stackPointer, faultCode);
  }

  /** A 64-bit stack. */
  void openLong(long stackPointer, int faultCode) {
    open(0, NO_MASK, 0, 0, stackPointer, faultCode);
  }

  private void open(long base, long mask, int limit, int attributes, long pointer, int faultCode) {
    this.base = base;
    this.mask = mask;
    this.limit = limit;
    this.attributes = attributes;
    this.pointer = pointer & mask;
    this.faultCode = faultCode;
  }

  /** How far the stack pointer counts in a stack segment with these attributes. */
  static long mask(int attributes) {
    return (attributes & Descriptors.BIG) != 0 ? 0xFFFF_FFFFL : 0xFFFFL;
  }

  void push(long value, int sizeBytes) {
    pointer = pointer - sizeBytes & mask;
    long linear = linear(sizeBytes);
    if (c.fault != 0) {
      return;
    }
    switch (sizeBytes) {
      case 2 -> c.store16(linear, value);
      case 4 -> c.store32(linear, value);
      default -> c.store64(linear, value);
    }
  }

  long pop(int sizeBytes) {
    long linear = linear(sizeBytes);
    if (c.fault != 0) {
      return 0;
    }
    pointer = pointer + sizeBytes & mask;
    return switch (sizeBytes) {
      case 2 -> c.load16(linear);
      case 4 -> c.load32(linear);
      default -> c.load64(linear);
    };
  }

  /** Moves the pointer up over parameters that a far return releases. */
  void release(long bytes) {
    pointer = pointer + bytes & mask;
  }

  private long linear(int sizeBytes) {
    boolean inside =
        mask == NO_MASK
            ? Segments.isCanonical(c, pointer)
            : Descriptors.within(attributes, limit, pointer, sizeBytes);
    if (!inside && c.fault == 0) {
      c.raise(Vector.SS, faultCode);
    }
    return mask == NO_MASK ? pointer : pointer + base & 0xFFFF_FFFFL;
  }

  /** Writes the stack pointer back, as many bits as the stack has. */
  void commit() {
    c.gpr[Vcpu.RSP] = mask == 0xFFFF ? c.gpr[Vcpu.RSP] & ~mask | pointer & mask : pointer;
  }
}
