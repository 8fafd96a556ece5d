package memvisor.machine.xen;

import memvisor.cpu.x86.Monitor;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.DirectVcpu;
import memvisor.tlb.TranslationResult;

/** Answers the exits of a PV vCPU that are not ring 0's: page tables, and what cannot happen. */
final class XenMonitor implements Monitor {
  private final Domain domain;
  private final DirectVcpu mmu;

  XenMonitor(Domain domain, DirectVcpu mmu) {
    this.domain = domain;
    this.mmu = mmu;
  }

  @Override
  public void translationExit(long gva, int access, TranslationResult result) {
    mmu.resolve(gva, access, result);
    if (result.kind == TranslationResult.OFFERED) {
      domain.count(ExitReason.EXCEPTION_NMI, gva);
    }
  }

  @Override
  public boolean offeredWrite(long hpa, int sizeBytes, long value) {
    return mmu.offeredWrite(hpa, sizeBytes, value);
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {
    mmu.trackedWrite(gpa, sizeBytes);
  }

  private static IllegalStateException impossible(String what) {
    return new IllegalStateException("a guest at CPL 3 reached " + what);
  }

  @Override
  public long deviceRead(long gpa, int sizeBytes) {
    throw impossible("a device");
  }

  @Override
  public void deviceWrite(long gpa, int sizeBytes, long value) {
    throw impossible("a device");
  }

  @Override
  public int portRead(int port, int sizeBytes) {
    throw impossible("a port");
  }

  @Override
  public void portWrite(int port, int sizeBytes, int value) {
    throw impossible("a port");
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    throw impossible("CR3");
  }

  @Override
  public void pagingControlsWritten() {
    throw impossible("CR0 or CR4");
  }

  @Override
  public void invlpg(long gva) {
    throw impossible("INVLPG");
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    throw impossible("INVPCID");
  }

  @Override
  public int acknowledgeInterrupt() {
    return -1;
  }

  @Override
  public long timestamp() {
    return domain.nanos();
  }

  @Override
  public boolean readMsr(int index) {
    return false;
  }

  @Override
  public long msrValue() {
    throw impossible("an MSR");
  }

  @Override
  public boolean writeMsr(int index, long value) {
    return false;
  }

  @Override
  public int taskPriority() {
    return 0;
  }

  @Override
  public void setTaskPriority(int value) {
    throw impossible("CR8");
  }

  @Override
  public void cpuidExecuted(int leaf, int subleaf) {
    domain.count(ExitReason.CPUID, leaf);
  }
}
