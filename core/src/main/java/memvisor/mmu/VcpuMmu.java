package memvisor.mmu;

import java.util.List;
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

  /**
   * The derived entries that stand behind an address now, the root's first: shadow entries of
   * {@code gva}, or nested entries of {@code gpa}; empty where the technique derives nothing.
   */
  List<DerivedEntry> derivedPath(long gva, long gpa);
}
