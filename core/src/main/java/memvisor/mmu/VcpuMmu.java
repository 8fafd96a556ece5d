package memvisor.mmu;

import memvisor.tlb.TranslationResult;

/** A technique's handling of one vCPU's memory exits. */
public interface VcpuMmu {
  /**
   * Answers a translation exit: RETRY, PAGE_FAULT (inject), MAPPED once, DEVICE, DISCARD, FAILED.
   */
  void resolve(long gva, int access, TranslationResult result);

  /** The guest loaded CR3 (only if intercepted). */
  void cr3Written(boolean keepTranslations);

  /** The guest changed CR0, CR4 or EFER (only if intercepted). */
  void pagingControlsWritten();

  /** The guest executed INVLPG (only if intercepted). */
  void invlpg(long gva);

  /** The guest executed INVPCID (only if intercepted). */
  void invpcid(int type, int pcid, long gva);

  /** A tracked guest-physical range was written: resynchronise what was derived from it. */
  void trackedWrite(long gpa, int sizeBytes);
}
