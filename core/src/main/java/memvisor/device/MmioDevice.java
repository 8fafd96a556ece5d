package memvisor.device;

/** A device with memory-mapped registers; offsets count from the start of its window. */
public interface MmioDevice {
  /** Reads 1, 2, 4 or 8 bytes, zero-extended. */
  long read(long offset, int sizeBytes);

  /** Writes 1, 2, 4 or 8 bytes; the bits of {@code value} above are to be ignored. */
  void write(long offset, int sizeBytes, long value);
}
