package memvisor.cpu.x86;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What one instruction may read and write: general registers, RFLAGS, an FXSAVE image, and a page
 * of memory. Laid out in memory so that the host processor can load and store it.
 */
final class ProcessorState {
  static final int GPR = 0;
  static final int FLAGS = 128;
  static final int FXSAVE = 256;
  static final int FXSAVE_BYTES = 512;
  static final int MEMORY = 1024;
  static final int MEMORY_BYTES = 4096;
  static final int BYTES = MEMORY + MEMORY_BYTES;

  /** Offsets inside the FXSAVE image. */
  static final int MXCSR = FXSAVE + 24;

  static final int ST = FXSAVE + 32;
  static final int XMM = FXSAVE + 160;

  private final MemorySegment bytes;

  ProcessorState(MemorySegment bytes) {
    this.bytes = bytes;
  }

  ProcessorState() {
    this(MemorySegment.ofArray(new long[BYTES / 8]));
  }

  long get64(int offset) {
    return bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, offset);
  }

  void set64(int offset, long value) {
    bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, offset, value);
  }

  int get32(int offset) {
    return bytes.get(ValueLayout.JAVA_INT_UNALIGNED, offset);
  }

  void set32(int offset, int value) {
    bytes.set(ValueLayout.JAVA_INT_UNALIGNED, offset, value);
  }

  int get16(int offset) {
    return bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, offset) & 0xFFFF;
  }

  void set16(int offset, int value) {
    bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset, (short) value);
  }

  long gpr(int number) {
    return get64(GPR + 8 * number);
  }

  void setGpr(int number, long value) {
    set64(GPR + 8 * number, value);
  }

  void copyFrom(ProcessorState other) {
    bytes.copyFrom(other.bytes);
  }

  MemorySegment segment() {
    return bytes;
  }
}
