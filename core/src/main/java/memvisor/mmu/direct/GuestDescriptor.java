package memvisor.mmu.direct;

/**
 * Which segment descriptors a guest at CPL 3 may have (Intel SDM vol. 3A, 3.4.5 and 3.5).
 *
 * <p>Code and data segments always, with DPL 3; no system segment and no gate, because each of them
 * leads to or describes something of ring 0. A descriptor that is not present does no harm.
 */
final class GuestDescriptor {
  private static final long PRESENT = 1L << 47;
  private static final long CODE_OR_DATA = 1L << 44;
  private static final long DPL = 3L << 45;
  private static final long TYPE = 0xFL << 40;

  private GuestDescriptor() {}

  static boolean isPermitted(long raw) {
    return (raw & PRESENT) == 0 || (raw & CODE_OR_DATA) != 0 || (raw & TYPE) == 0;
  }

  /** The descriptor as it is stored. */
  static long adjusted(long raw) {
    return (raw & PRESENT) != 0 && (raw & CODE_OR_DATA) != 0 ? raw | DPL : raw;
  }
}
