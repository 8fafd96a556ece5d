package memvisor.tlb;

import memvisor.memory.MachineMemory;
import memvisor.paging.PagingState;

/**
 * The memory-management unit of one vCPU: TLB, then paging-structure caches, then the walker over
 * the current root.
 *
 * <p>Two parties program it. The vCPU tells it what the guest did (control registers, INVLPG …).
 * The monitor chooses the regime: a partition (guest tables, base and limit), host tables (one
 * dimension over HPA: shadow, direct), nested tables, or trap (no root at all).
 */
public final class TranslationUnit {
  private final MachineMemory machine;
  private final PagingState guest;

  /** A unit that starts in the trap regime. */
  public TranslationUnit(MachineMemory machine, PagingState guest) {
    this.machine = machine;
    this.guest = guest;
  }

  /** Translates one access of one page; {@code gva} is canonical or the result is a page fault. */
  public void translate(long gva, int access, TranslationResult result) {
    throw new UnsupportedOperationException(guest.toString() + machine);
  }

  /** The guest loaded CR3, keeping the translations of its PCID or not. */
  public void cr3Loaded(boolean keepTranslations) {
    throw new UnsupportedOperationException("keepTranslations=" + keepTranslations);
  }

  /** The guest changed CR0, CR4 or EFER in a bit that concerns paging. */
  public void controlsChanged() {
    throw new UnsupportedOperationException();
  }

  /** The guest executed INVLPG. */
  public void invalidatePage(long gva) {
    throw new UnsupportedOperationException("gva=" + gva);
  }

  /** The guest executed INVPCID; {@code type} 0 to 3. */
  public void invalidatePcid(int type, int pcid, long gva) {
    throw new UnsupportedOperationException("type=" + type + pcid + gva);
  }
}
