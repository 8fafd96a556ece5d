package memvisor.tlb;

import memvisor.memory.MachineMemory;
import memvisor.paging.Rights;

/** No second dimension: the walked tables hold HPA, as the monitor's own (shadow) tables do. */
final class HostDimension extends SecondDimension {
  private final MachineMemory machine;

  HostDimension(MachineMemory machine) {
    this.machine = machine;
    rights = Rights.ALL;
    sizeLog2 = 30;
    dirty = true;
  }

  private void check(long address, long lengthBytes) {
    if (!machine.contains(address, lengthBytes)) {
      throw new IllegalStateException(
          "a host table names memory that does not exist: hpa=0x%x machine sizeBytes=0x%x"
              .formatted(address, machine.sizeBytes()));
    }
  }

  @Override
  boolean translate(long address, int access) {
    check(address, 1);
    hpa = address;
    return true;
  }

  @Override
  boolean allows(int earlierRights, int access) {
    return true;
  }

  @Override
  boolean isGuestPhysical() {
    return false;
  }

  @Override
  public long locate(long address) {
    check(address, Long.BYTES);
    return address | WRITABLE;
  }

  @Override
  public long locateForUpdate(long address) {
    return locate(address);
  }
}
