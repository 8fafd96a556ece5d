package memvisor.memory;

/**
 * Guest physical memory as loaders, devices (DMA) and the monitor read and write it.
 *
 * <p>Addresses are GPA. A range that is not wholly RAM (or ROM, for loading) throws {@link
 * GuestAddressException}, having changed nothing.
 */
public interface GuestMemory {
  /** The VM's memory map. */
  GuestMemoryMap map();

  /** Copies guest memory at {@code gpa} into {@code target[offset, offset + lengthBytes)}. */
  void read(long gpa, byte[] target, int offset, int lengthBytes);

  /** Copies {@code source[offset, offset + lengthBytes)} into guest memory at {@code gpa}. */
  void write(long gpa, byte[] source, int offset, int lengthBytes);

  /** As {@link #write}, for loaders and firmware: ROM may be written too. */
  default void load(long gpa, byte[] source, int offset, int lengthBytes) {
    write(gpa, source, offset, lengthBytes);
  }

  /** Reads a little-endian unsigned value of 1, 2, 4 or 8 bytes. */
  long readValue(long gpa, int sizeBytes);

  /** Writes a little-endian value of 1, 2, 4 or 8 bytes. */
  void writeValue(long gpa, int sizeBytes, long value);
}
