package memvisor.machine.xen;

import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * Copies between the monitor and the guest's virtual memory, with the guest's own permissions: an
 * address that the guest could not use itself fails, and so does every one in the monitor's part of
 * the address space.
 *
 * <p>A failure stays noted until {@link #takeFailure}.
 */
final class GuestPointers {
  private static final long MONITOR_START = 0xFFFF_8000_0000_0000L;
  private static final long MONITOR_END = 0xFFFF_8800_0000_0000L;
  private static final long PAGE_MASK = 0xFFF;

  /** Hears of bytes that the monitor wrote: code decoded from them is stale. */
  interface Written {
    void written(long hpa, long lengthBytes);
  }

  private final TranslationUnit unit;
  private final MachineMemory machine;
  private final Written written;
  private final TranslationResult result = new TranslationResult();
  private boolean failed;

  /** Address of the last failure, for a page fault. */
  private long failedGva;

  private int failedCode;

  GuestPointers(TranslationUnit unit, MachineMemory machine, Written written) {
    this.unit = unit;
    this.machine = machine;
    this.written = written;
  }

  boolean failed() {
    return failed;
  }

  /** Whether anything failed since the last call. */
  boolean takeFailure() {
    boolean f = failed;
    failed = false;
    return f;
  }

  long failedGva() {
    return failedGva;
  }

  int failedCode() {
    return failedCode;
  }

  private long fail(long gva, int code) {
    failed = true;
    failedGva = gva;
    failedCode = code;
    return -1;
  }

  /** Whether an address is canonical and not in the monitor's part of the address space. */
  static boolean isGuests(long gva) {
    boolean monitors =
        Long.compareUnsigned(gva, MONITOR_START) >= 0 && Long.compareUnsigned(gva, MONITOR_END) < 0;
    return gva << 16 >> 16 == gva && !monitors;
  }

  /** HPA behind an address for this access, -1 (and a failure) if there is none. */
  long hpa(long gva, int access) {
    if (!isGuests(gva)) {
      return fail(gva, 0);
    }
    unit.translate(gva, access | Access.USER, result);
    return result.kind == TranslationResult.MAPPED ? result.hpa : fail(gva, result.errorCode);
  }

  /** Reads a little-endian value of 1, 2, 4 or 8 bytes; 0 on failure. */
  long load(long gva, int sizeBytes) {
    if ((gva & PAGE_MASK) + sizeBytes > PAGE_MASK + 1) {
      long value = 0;
      for (int i = 0; i < sizeBytes; i++) {
        value |= load(gva + i, 1) << 8 * i;
      }
      return value;
    }
    long hpa = hpa(gva, 0);
    if (hpa < 0) {
      return 0;
    }
    long hva = machine.hva(hpa);
    return switch (sizeBytes) {
      case 1 -> Hva.readByte(hva);
      case 2 -> Hva.readShort(hva);
      case 4 -> Hva.readInt(hva) & 0xFFFF_FFFFL;
      default -> Hva.readLong(hva);
    };
  }

  /** Writes a little-endian value of 1, 2, 4 or 8 bytes. */
  void store(long gva, int sizeBytes, long value) {
    if ((gva & PAGE_MASK) + sizeBytes > PAGE_MASK + 1) {
      for (int i = 0; i < sizeBytes; i++) {
        store(gva + i, 1, value >>> 8 * i);
      }
      return;
    }
    long hpa = hpa(gva, Access.WRITE);
    if (hpa < 0) {
      return;
    }
    long hva = machine.hva(hpa);
    switch (sizeBytes) {
      case 1 -> Hva.writeByte(hva, (int) value);
      case 2 -> Hva.writeShort(hva, (int) value);
      case 4 -> Hva.writeInt(hva, (int) value);
      default -> Hva.writeLong(hva, value);
    }
    written.written(hpa, sizeBytes);
  }

  /** The monitor wrote guest memory by machine address. */
  void noteWritten(long hpa, long lengthBytes) {
    written.written(hpa, lengthBytes);
  }

  /** Copies a frame. */
  void copyFrame(long fromMfn, long toMfn) {
    Hva.copy(machine.hva(fromMfn << 12), machine.hva(toMfn << 12), PAGE_MASK + 1);
    written.written(toMfn << 12, PAGE_MASK + 1);
  }

  /** Zeroes a frame. */
  void clearFrame(long mfn) {
    Hva.fill(machine.hva(mfn << 12), PAGE_MASK + 1, 0);
    written.written(mfn << 12, PAGE_MASK + 1);
  }

  /** Fetches up to {@code bytes.length} instruction bytes; how many could be fetched. */
  int fetch(long gva, byte[] bytes) {
    for (int i = 0; i < bytes.length; i++) {
      long hpa = hpa(gva + i, Access.FETCH);
      if (hpa < 0) {
        failed = false;
        return i;
      }
      bytes[i] = (byte) Hva.readByte(machine.hva(hpa));
    }
    return bytes.length;
  }

  /** Copies text into the guest, with zeroes up to {@code sizeBytes}. */
  void storeText(long gva, String text, int sizeBytes) {
    for (int i = 0; i < sizeBytes; i++) {
      store(gva + i, 1, i < text.length() ? text.charAt(i) : 0);
    }
  }
}
