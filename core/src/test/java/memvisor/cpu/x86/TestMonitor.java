package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.List;
import memvisor.tlb.TranslationResult;

/** A monitor that records its exits; anything beyond the window at {@link #DEVICE} is a failure. */
class TestMonitor implements Monitor {
  /** GPA of a page of device registers, just beyond the test partition. */
  static final long DEVICE = TestCpu.MEMORY_BYTES;

  final List<String> exits = new ArrayList<>();
  int pendingVector = -1;

  @Override
  public void translationExit(long gva, int access, TranslationResult result) {
    if (result.kind == TranslationResult.NESTED_FAULT && result.gpa >= DEVICE) {
      result.device(result.gpa);
    } else {
      result.kind = TranslationResult.FAILED;
    }
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {
    exits.add("tracked 0x%x %d".formatted(gpa, sizeBytes));
  }

  @Override
  public long deviceRead(long gpa, int sizeBytes) {
    exits.add("read 0x%x %d".formatted(gpa - DEVICE, sizeBytes));
    return 0x8877_6655_4433_2211L >>> 64 - 8 * sizeBytes;
  }

  @Override
  public void deviceWrite(long gpa, int sizeBytes, long value) {
    exits.add("write 0x%x %d 0x%x".formatted(gpa - DEVICE, sizeBytes, value));
  }

  @Override
  public int portRead(int port, int sizeBytes) {
    exits.add("in 0x%x %d".formatted(port, sizeBytes));
    return 0x42;
  }

  @Override
  public void portWrite(int port, int sizeBytes, int value) {
    exits.add("out 0x%x %d 0x%x".formatted(port, sizeBytes, value));
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    exits.add("cr3");
  }

  @Override
  public void pagingControlsWritten() {
    exits.add("controls");
  }

  @Override
  public void invlpg(long gva) {
    exits.add("invlpg 0x%x".formatted(gva));
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    exits.add("invpcid");
  }

  @Override
  public int acknowledgeInterrupt() {
    int vector = pendingVector;
    pendingVector = -1;
    return vector;
  }

  @Override
  public long timestamp() {
    return 0;
  }

  @Override
  public boolean readMsr(int index) {
    return false;
  }

  @Override
  public long msrValue() {
    return 0;
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
  public void setTaskPriority(int value) {}

  @Override
  public void cpuidExecuted(int leaf, int subleaf) {}
}
