package memvisor.device.virtio;

import memvisor.memory.GuestAddressException;
import memvisor.memory.GuestMemory;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/** Guest memory in an array: RAM from 0 to 1 MiB, then 64 KiB of ROM. */
final class ArrayMemory implements GuestMemory {
  static final int RAM_BYTES = 1 << 20;
  static final int ROM_BYTES = 1 << 16;

  private final byte[] bytes = new byte[RAM_BYTES + ROM_BYTES];
  long accesses;

  @Override
  public GuestMemoryMap map() {
    return GuestMemoryMap.EMPTY
        .with(new MemoryRegion(0, RAM_BYTES, MemoryRegion.Kind.RAM))
        .with(new MemoryRegion(RAM_BYTES, ROM_BYTES, MemoryRegion.Kind.ROM));
  }

  @Override
  public void read(long gpa, byte[] target, int offset, int lengthBytes) {
    check(gpa, lengthBytes, RAM_BYTES + ROM_BYTES);
    System.arraycopy(bytes, (int) gpa, target, offset, lengthBytes);
  }

  @Override
  public void write(long gpa, byte[] source, int offset, int lengthBytes) {
    check(gpa, lengthBytes, RAM_BYTES);
    System.arraycopy(source, offset, bytes, (int) gpa, lengthBytes);
  }

  @Override
  public long readValue(long gpa, int sizeBytes) {
    check(gpa, sizeBytes, RAM_BYTES + ROM_BYTES);
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      value = value << 8 | bytes[(int) gpa + i] & 0xFF;
    }
    return value;
  }

  @Override
  public void writeValue(long gpa, int sizeBytes, long value) {
    check(gpa, sizeBytes, RAM_BYTES);
    for (int i = 0; i < sizeBytes; i++) {
      bytes[(int) gpa + i] = (byte) (value >>> 8 * i);
    }
  }

  private void check(long gpa, long lengthBytes, long end) {
    accesses++;
    if (gpa < 0 || gpa > end - lengthBytes) {
      throw new GuestAddressException(gpa, lengthBytes);
    }
  }
}
