package memvisor.address;

/**
 * One memory access as bits, laid out as the x86 page-fault error code lays them out (Intel SDM
 * vol. 3A, 4.7), so that an error code is the access plus the bits that the walk adds.
 *
 * <pre>
 *   bit 1  WRITE     the access is a write (else a read or a fetch)
 *   bit 2  USER      user mode (CPL 3); else supervisor mode
 *   bit 4  FETCH     instruction fetch
 *   bit 8  IMPLICIT  supervisor access to a system table (GDT, IDT, TSS): AC does not count
 *   bit 9  AC        EFLAGS.AC was set: SMAP lets an explicit supervisor access pass
 * </pre>
 */
public final class Access {
  /** A supervisor data read: no bit set. */
  public static final int READ = 0;

  /** The access writes. */
  public static final int WRITE = 1 << 1;

  /** The access is made in user mode. */
  public static final int USER = 1 << 2;

  /** The access fetches an instruction. */
  public static final int FETCH = 1 << 4;

  /** The access is implicit (descriptor tables, TSS) and therefore supervisor whatever the CPL. */
  public static final int IMPLICIT = 1 << 8;

  /** EFLAGS.AC is set while an explicit supervisor access is made. */
  public static final int AC = 1 << 9;

  /** The bits that appear in a page-fault error code. */
  public static final int ERROR_CODE_BITS = WRITE | USER | FETCH;

  private Access() {}
}
