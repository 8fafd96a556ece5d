package memvisor.tlb;

import memvisor.address.Access;
import memvisor.paging.NestedFaultLayout;
import memvisor.paging.Rights;
import memvisor.paging.Walker;

/** Base and limit: GPA below the limit is HPA above the base, and nothing else exists. */
final class PartitionDimension extends SecondDimension {
  private long baseHpa;
  private long limitBytes;

  PartitionDimension() {
    rights = Rights.ALL;
    dirty = true;
  }

  /** Sets base and limit, both multiples of 4 KiB. */
  void set(long base, long limit) {
    baseHpa = base;
    limitBytes = limit;
  }

  @Override
  boolean translate(long gpa, int access) {
    if (gpa < 0 || gpa >= limitBytes) {
      fault(gpa, access, true);
      return false;
    }
    hpa = baseHpa + gpa;
    sizeLog2 = fits(gpa, 30) ? 30 : fits(gpa, 22) ? 22 : fits(gpa, 21) ? 21 : 12;
    return true;
  }

  /** Whether the aligned page around {@code gpa} lies below the limit and is aligned in HPA too. */
  private boolean fits(long gpa, int log2) {
    long mask = (1L << log2) - 1;
    return (baseHpa & mask) == 0 && (gpa | mask) < limitBytes;
  }

  private void fault(long gpa, int access, boolean finalAccess) {
    faultGpa = gpa;
    faultMisconfiguration = false;
    faultQualification =
        NestedFaultLayout.EPT_VIOLATION.encode(access, Walker.NOT_PRESENT, 0, finalAccess);
  }

  @Override
  boolean allows(int earlierRights, int access) {
    return true;
  }

  @Override
  boolean isGuestPhysical() {
    return true;
  }

  @Override
  public long locate(long address) {
    if (address < 0 || address >= limitBytes) {
      fault(address, Access.READ, false);
      return UNREACHABLE;
    }
    return baseHpa + address | WRITABLE;
  }

  @Override
  public long locateForUpdate(long address) {
    return locate(address);
  }
}
