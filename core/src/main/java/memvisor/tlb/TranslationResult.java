package memvisor.tlb;

/**
 * The outcome of one translation, reused from access to access so that translating allocates
 * nothing.
 *
 * <p>First filled by {@link TranslationUnit#translate}; when that ends in an exit, the monitor's
 * technique fills it again with what the processor should do.
 */
public final class TranslationResult {
  /** The hardware found the byte at {@link #hpa}. */
  public static final int MAPPED = 0;

  /** The tables the hardware walked deny the access: {@link #errorCode} says how. */
  public static final int PAGE_FAULT = 1;

  /** The second dimension (EPT, NPT) or the partition limit stopped the access at {@link #gpa}. */
  public static final int NESTED_FAULT = 2;

  /** There is no root: the monitor performs each access itself. */
  public static final int TRAPPED = 3;

  /** The monitor repaired its tables: translate again. */
  public static final int RETRY = 4;

  /** The access belongs to a device at {@link #gpa}. */
  public static final int DEVICE = 5;

  /** A write to read-only memory: performed as a write that changes nothing. */
  public static final int DISCARD = 6;

  /** The monitor cannot go on with this VM. */
  public static final int FAILED = 7;

  /**
   * The byte at {@link #hpa} may be read, but each store there is offered to the monitor, which
   * performs or refuses it; a refused one is the page fault that {@link #errorCode} describes.
   */
  public static final int OFFERED = 8;

  /** One of the constants above. */
  public int kind;

  /** Host physical address of the byte (MAPPED). */
  public long hpa;

  /** Guest physical address of the byte (NESTED_FAULT, DEVICE, and MAPPED where known, else -1). */
  public long gpa;

  /** Page-fault error code (PAGE_FAULT). */
  public int errorCode;

  /**
   * Why the second dimension stopped the access (NESTED_FAULT): the exit qualification of an EPT
   * violation in the SDM's layout, table 28-7 (a partition fault too), or EXITINFO1 for NPT. In
   * both bit 1 says that the access writes.
   */
  public long qualification;

  /** The nested entry is present but malformed: an EPT misconfiguration (NESTED_FAULT). */
  public boolean misconfiguration;

  /** Whether the processor may keep this translation in its translation cache (MAPPED). */
  public boolean cacheable;

  /** Whether the page is global: the translation outlives a change of address space (MAPPED). */
  public boolean global;

  /** Whether the monitor wants to know after a write here (MAPPED, for write accesses). */
  public boolean tracked;

  /** Fills in a mapping that may be cached. */
  public void mapped(long toHpa, long ofGpa) {
    mapped(toHpa, ofGpa, false);
  }

  /** Fills in a mapping that may be cached, of a page that may be global. */
  public void mapped(long toHpa, long ofGpa, boolean isGlobal) {
    kind = MAPPED;
    hpa = toHpa;
    gpa = ofGpa;
    global = isGlobal;
    cacheable = true;
    tracked = false;
  }

  /** Fills in, over a page fault found before, that stores are to be offered. */
  public void offered(long toHpa) {
    kind = OFFERED;
    hpa = toHpa;
    cacheable = false;
    tracked = false;
  }

  /** Fills in a guest page fault. */
  public void pageFault(int withErrorCode) {
    kind = PAGE_FAULT;
    errorCode = withErrorCode;
  }

  /** Fills in a fault of the second dimension. */
  public void nestedFault(long atGpa, long withQualification, boolean isMisconfiguration) {
    kind = NESTED_FAULT;
    gpa = atGpa;
    qualification = withQualification;
    misconfiguration = isMisconfiguration;
  }

  /** Fills in a device access. */
  public void device(long atGpa) {
    kind = DEVICE;
    gpa = atGpa;
  }
}
