package memvisor.mmu;

import java.util.List;

/** A vCPU whose guest runs its own paging: only translations ever exit. */
abstract class UninterceptedMmu implements VcpuMmu {
  @Override
  public final void cr3Written(boolean keepTranslations) {
    throw unexpected("CR3");
  }

  @Override
  public final void pagingControlsWritten() {
    throw unexpected("paging controls");
  }

  @Override
  public final void invlpg(long gva) {
    throw unexpected("INVLPG");
  }

  @Override
  public final void invpcid(int type, int pcid, long gva) {
    throw unexpected("INVPCID");
  }

  @Override
  public final void trackedWrite(long gpa, int sizeBytes) {
    // Nothing is derived from guest tables.
  }

  @Override
  public List<DerivedEntry> derivedPath(long gva, long gpa) {
    return List.of();
  }

  private static IllegalStateException unexpected(String what) {
    return new IllegalStateException("an exit that was not asked for: " + what);
  }
}
