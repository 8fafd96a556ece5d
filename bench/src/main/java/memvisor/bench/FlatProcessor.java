package memvisor.bench;

import java.lang.foreign.Arena;
import memvisor.cpu.x86.Monitor;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.SegmentName;
import memvisor.cpu.x86.SegmentState;
import memvisor.cpu.x86.Vcpu;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/** A processor in 64-bit mode with 8 MiB of identity-mapped memory and no devices. */
final class FlatProcessor {
  private static final long MEMORY_BYTES = 8 << 20;
  private static final long PML4 = 0x1000;
  private static final long PDPT = 0x2000;
  private static final long STACK = 0x30_0000;

  /** Present, writable, page size. */
  private static final long TABLE = 3;

  private static final long HUGE_PAGE = 0x83;

  private FlatProcessor() {}

  /** A processor about to run {@code code} at {@code address}. */
  static Vcpu running(long address, byte[] code) {
    long hva = Arena.global().allocate(MEMORY_BYTES, 4096).address();
    MachineMemory machine = new MachineMemory(hva, MEMORY_BYTES);
    Hva.write(hva + address, code, 0, code.length);
    Hva.writeLong(hva + PML4, PDPT | TABLE);
    Hva.writeLong(hva + PDPT, HUGE_PAGE);
    TranslationUnit unit = new TranslationUnit(machine, new PagingState());
    unit.partition(0, MEMORY_BYTES);
    Vcpu vcpu = new Vcpu(machine, unit, new NoMonitor());
    unit.setListener(vcpu);
    RegisterFile registers = vcpu.registers();
    registers.set(RegisterName.EFER, PagingState.EFER_LME | PagingState.EFER_LMA);
    registers.set(RegisterName.CR4, PagingState.CR4_PAE);
    registers.set(RegisterName.CR3, PML4);
    registers.set(RegisterName.CR0, PagingState.CR0_PG | PagingState.CR0_PE);
    registers.setSegment(SegmentName.CS, new SegmentState(8, 0, -1, 0xA09B));
    registers.setSegment(SegmentName.SS, new SegmentState(16, 0, -1, 0xC093));
    registers.setSegment(SegmentName.DS, new SegmentState(16, 0, -1, 0xC093));
    registers.set(RegisterName.RSP, STACK);
    registers.set(RegisterName.RIP, address);
    return vcpu;
  }

  /** Nothing may exit. */
  private static final class NoMonitor implements Monitor {
    private static IllegalStateException unexpected() {
      return new IllegalStateException("the benchmark exited");
    }

    @Override
    public void translationExit(long gva, int access, TranslationResult result) {
      throw unexpected();
    }

    @Override
    public void trackedWrite(long gpa, int sizeBytes) {
      throw unexpected();
    }

    @Override
    public long deviceRead(long gpa, int sizeBytes) {
      throw unexpected();
    }

    @Override
    public void deviceWrite(long gpa, int sizeBytes, long value) {
      throw unexpected();
    }

    @Override
    public int portRead(int port, int sizeBytes) {
      throw unexpected();
    }

    @Override
    public void portWrite(int port, int sizeBytes, int value) {
      throw unexpected();
    }

    @Override
    public void cr3Written(boolean keepTranslations) {
      throw unexpected();
    }

    @Override
    public void pagingControlsWritten() {
      throw unexpected();
    }

    @Override
    public void invlpg(long gva) {
      throw unexpected();
    }

    @Override
    public void invpcid(int type, int pcid, long gva) {
      throw unexpected();
    }

    @Override
    public int acknowledgeInterrupt() {
      return -1;
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
}
