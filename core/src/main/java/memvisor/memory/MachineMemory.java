package memvisor.memory;

/**
 * Host physical memory: bytes {@code [0, sizeBytes)} of HPA, seen by this process at one run of
 * HVA.
 *
 * <p>Owned by {@code host}, which allocates and frees it; everybody else only translates and reads.
 */
public final class MachineMemory {
  private final long baseHva;
  private final long sizeBytes;

  /** Describes memory that its owner mapped at {@code baseHva} and keeps mapped. */
  public MachineMemory(long baseHva, long sizeBytes) {
    this.baseHva = baseHva;
    this.sizeBytes = sizeBytes;
  }

  /** Size of machine memory in bytes, a multiple of 4 KiB. */
  public long sizeBytes() {
    return sizeBytes;
  }

  /** Whether {@code [hpa, hpa + lengthBytes)} lies in machine memory. */
  public boolean contains(long hpa, long lengthBytes) {
    return hpa >= 0 && lengthBytes >= 0 && hpa <= sizeBytes - lengthBytes;
  }

  /** The host virtual address of a host physical one, which must lie in machine memory. */
  public long hva(long hpa) {
    return baseHva + hpa;
  }

  /** The host physical address behind a host virtual one of this memory. */
  public long hpa(long hva) {
    return hva - baseHva;
  }
}
