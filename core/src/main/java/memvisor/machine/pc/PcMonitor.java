package memvisor.machine.pc;

import memvisor.cpu.x86.Monitor;
import memvisor.machine.ExitReason;
import memvisor.machine.ExitStatistics;
import memvisor.mmu.VcpuMmu;
import memvisor.tlb.TranslationResult;

/**
 * Answers one vCPU's exits: memory exits go to the technique, device accesses to the board.
 *
 * <p>After every access that may have moved a timer or raised an interrupt the vCPU is asked to
 * come back at its next block boundary, where the exit loop looks at deadlines again.
 */
final class PcMonitor implements Monitor {
  /** What the monitor needs of the vCPU it serves. */
  interface Processor {
    long instructions();

    void endSlice();
  }

  private final PcBoard board;
  private final VcpuMmu mmu;
  private final ExitStatistics exits;
  private final ExitReason nestedFault;
  private final Processor processor;
  private long msrValue;

  PcMonitor(
      PcBoard board,
      VcpuMmu mmu,
      ExitStatistics exits,
      ExitReason nestedFault,
      Processor processor) {
    this.board = board;
    this.mmu = mmu;
    this.exits = exits;
    this.nestedFault = nestedFault;
    this.processor = processor;
  }

  private void count(ExitReason reason, long detail) {
    exits.count(reason, processor.instructions(), detail);
  }

  @Override
  public void translationExit(long gva, int access, TranslationResult result) {
    int kind = result.kind;
    mmu.resolve(gva, access, result);
    if (result.kind == TranslationResult.DEVICE && kind != TranslationResult.TRAPPED) {
      count(ExitReason.EPT_MISCONFIG, result.gpa);
      return;
    }
    count(
        switch (kind) {
          case TranslationResult.PAGE_FAULT -> ExitReason.EXCEPTION_NMI;
          case TranslationResult.TRAPPED -> ExitReason.TRAPPED_ACCESS;
          default -> nestedFault;
        },
        gva);
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {
    mmu.trackedWrite(gpa, sizeBytes);
  }

  @Override
  public long deviceRead(long gpa, int sizeBytes) {
    long value = board.mmio().read(gpa, sizeBytes);
    processor.endSlice();
    return value;
  }

  @Override
  public void deviceWrite(long gpa, int sizeBytes, long value) {
    board.mmio().write(gpa, sizeBytes, value);
    processor.endSlice();
  }

  @Override
  public int portRead(int port, int sizeBytes) {
    count(ExitReason.IO_INSTRUCTION, port);
    int value = board.ports().read(port, sizeBytes);
    processor.endSlice();
    return value;
  }

  @Override
  public void portWrite(int port, int sizeBytes, int value) {
    count(ExitReason.IO_INSTRUCTION, port);
    board.ports().write(port, sizeBytes, value);
    processor.endSlice();
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    count(ExitReason.CR_ACCESS, 3);
    mmu.cr3Written(keepTranslations);
  }

  @Override
  public void pagingControlsWritten() {
    count(ExitReason.CR_ACCESS, 0);
    mmu.pagingControlsWritten();
  }

  @Override
  public void invlpg(long gva) {
    count(ExitReason.INVLPG, gva);
    mmu.invlpg(gva);
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    count(ExitReason.INVPCID, gva);
    mmu.invpcid(type, pcid, gva);
  }

  @Override
  public int acknowledgeInterrupt() {
    int vector = board.interrupts().acknowledge();
    if (vector >= 0) {
      count(ExitReason.EXTERNAL_INTERRUPT, vector);
    }
    return vector;
  }

  @Override
  public long timestamp() {
    return board.timestamp().value();
  }

  @Override
  public boolean readMsr(int index) {
    count(ExitReason.MSR_READ, index);
    switch (index) {
      case PcBoard.MSR_APIC_BASE -> msrValue = board.apicBase();
      case PcBoard.MSR_TSC_DEADLINE -> msrValue = board.tscDeadline();
      default -> {
        return false;
      }
    }
    return true;
  }

  @Override
  public long msrValue() {
    return msrValue;
  }

  @Override
  public boolean writeMsr(int index, long value) {
    count(ExitReason.MSR_WRITE, index);
    processor.endSlice();
    switch (index) {
      case PcBoard.MSR_TSC_DEADLINE -> board.setTscDeadline(value);
      case PcBoard.MSR_APIC_BASE -> {
        return board.setApicBase(value);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  @Override
  public int taskPriority() {
    return board.interrupts().taskPriority();
  }

  @Override
  public void setTaskPriority(int value) {
    board.interrupts().setTaskPriority(value);
    processor.endSlice();
  }

  @Override
  public void cpuidExecuted(int leaf, int subleaf) {
    count(ExitReason.CPUID, leaf);
  }
}
