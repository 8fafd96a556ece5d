package memvisor.paging;

/**
 * The registers that decide how linear addresses are translated: CR0, CR3, CR4, EFER, the PAE
 * PDPTEs and the physical-address width. One vCPU owns the guest's; a technique that runs the
 * hardware on tables of its own (shadow) owns a second one with the real values.
 *
 * <p>Mutable and shared by reference: the vCPU writes it, then tells its {@code TranslationUnit}.
 */
public final class PagingState {
  /** CR0.PE. */
  public static final long CR0_PE = 1L;

  /** CR0.WP: supervisor writes obey R/W. */
  public static final long CR0_WP = 1L << 16;

  /** CR0.PG. */
  public static final long CR0_PG = 1L << 31;

  /** CR4.PSE. */
  public static final long CR4_PSE = 1L << 4;

  /** CR4.PAE. */
  public static final long CR4_PAE = 1L << 5;

  /** CR4.PGE. */
  public static final long CR4_PGE = 1L << 7;

  /** CR4.LA57. */
  public static final long CR4_LA57 = 1L << 12;

  /** CR4.PCIDE. */
  public static final long CR4_PCIDE = 1L << 17;

  /** CR4.SMEP. */
  public static final long CR4_SMEP = 1L << 20;

  /** CR4.SMAP. */
  public static final long CR4_SMAP = 1L << 21;

  /** EFER.LME. */
  public static final long EFER_LME = 1L << 8;

  /** EFER.LMA. */
  public static final long EFER_LMA = 1L << 10;

  /** EFER.NXE. */
  public static final long EFER_NXE = 1L << 11;

  private final long[] pdptes = new long[4];
  private long cr0;
  private long cr3;
  private long cr4;
  private long efer;
  private int physicalAddressBits = 40;

  /** CR0. */
  public long cr0() {
    return cr0;
  }

  /** CR3, PCID included. */
  public long cr3() {
    return cr3;
  }

  /** CR4. */
  public long cr4() {
    return cr4;
  }

  /** IA32_EFER. */
  public long efer() {
    return efer;
  }

  /** Sets CR0. */
  public void setCr0(long value) {
    cr0 = value;
  }

  /** Sets CR3. */
  public void setCr3(long value) {
    cr3 = value;
  }

  /** Sets CR4. */
  public void setCr4(long value) {
    cr4 = value;
  }

  /** Sets IA32_EFER. */
  public void setEfer(long value) {
    efer = value;
  }

  /** MAXPHYADDR, 36 to 52. */
  public int physicalAddressBits() {
    return physicalAddressBits;
  }

  /** Sets MAXPHYADDR. */
  public void setPhysicalAddressBits(int bits) {
    physicalAddressBits = bits;
  }

  /** PAE page-directory-pointer-table entry {@code index}, as loaded by the last MOV to CR3. */
  public long pdpte(int index) {
    return pdptes[index];
  }

  /** Loads one of the four PDPTE registers (Intel SDM vol. 3A, 4.4.1). */
  public void setPdpte(int index, long value) {
    pdptes[index] = value;
  }

  /** Copies every register of {@code other}. */
  public void copyFrom(PagingState other) {
    cr0 = other.cr0;
    cr3 = other.cr3;
    cr4 = other.cr4;
    efer = other.efer;
    physicalAddressBits = other.physicalAddressBits;
    System.arraycopy(other.pdptes, 0, pdptes, 0, pdptes.length);
  }

  /** Whether paging is on (CR0.PG). */
  public boolean paging() {
    return (cr0 & CR0_PG) != 0;
  }

  /** Whether IA-32e mode is active (EFER.LMA). */
  public boolean longMode() {
    return (efer & EFER_LMA) != 0;
  }

  /** The current PCID, 0 unless CR4.PCIDE. */
  public int pcid() {
    return (cr4 & CR4_PCIDE) != 0 ? (int) cr3 & 0xFFF : 0;
  }
}
