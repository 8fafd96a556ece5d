package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.List;
import memvisor.tlb.TranslationResult;

/** A monitor that records its exits in the order they come. */
final class FakeMonitor implements Monitor {
  final List<String> exits = new ArrayList<>();
  int pendingVector = -1;
  long clock;
  int taskPriority;
  int portValue;
  private long msr;

  @Override
  public void translationExit(long gva, int access, TranslationResult result) {
    result.kind = TranslationResult.FAILED;
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {}

  @Override
  public long deviceRead(long gpa, int sizeBytes) {
    return 0;
  }

  @Override
  public void deviceWrite(long gpa, int sizeBytes, long value) {}

  @Override
  public int portRead(int port, int sizeBytes) {
    exits.add("in %x/%d".formatted(port, sizeBytes));
    return portValue;
  }

  @Override
  public void portWrite(int port, int sizeBytes, int value) {
    exits.add("out %x/%d=%x".formatted(port, sizeBytes, value));
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    exits.add("cr3 keep=" + keepTranslations);
  }

  @Override
  public void pagingControlsWritten() {
    exits.add("controls");
  }

  @Override
  public void invlpg(long gva) {
    exits.add("invlpg %x".formatted(gva));
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    exits.add("invpcid %d %x %x".formatted(type, pcid, gva));
  }

  @Override
  public int acknowledgeInterrupt() {
    int vector = pendingVector;
    pendingVector = -1;
    return vector;
  }

  @Override
  public long timestamp() {
    return clock;
  }

  @Override
  public boolean readMsr(int index) {
    return index == Msrs.APIC_BASE;
  }

  @Override
  public long msrValue() {
    return msr;
  }

  @Override
  public boolean writeMsr(int index, long value) {
    msr = value;
    return index == Msrs.APIC_BASE;
  }

  @Override
  public int taskPriority() {
    return taskPriority;
  }

  @Override
  public void setTaskPriority(int value) {
    taskPriority = value;
  }

  @Override
  public void cpuidExecuted(int leaf, int subleaf) {}
}
