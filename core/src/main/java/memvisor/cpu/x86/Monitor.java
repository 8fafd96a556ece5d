package memvisor.cpu.x86;

import memvisor.tlb.TranslationResult;

/**
 * The monitor as the processor sees it: whom a vCPU calls when it exits. Each call is one VM exit.
 *
 * <p>Exits happen in the middle of an instruction and return into it; what the guest may notice is
 * decided by the return value alone.
 */
public interface Monitor {
  /**
   * The hardware could not translate; {@code result} says why and receives what to do: RETRY,
   * PAGE_FAULT (inject), MAPPED (use this once), DEVICE, DISCARD or FAILED.
   */
  void translationExit(long gva, int access, TranslationResult result);

  /** A write of {@code sizeBytes} was made at a guest-physical address that the monitor tracks. */
  void trackedWrite(long gpa, int sizeBytes);

  /**
   * A store that {@link TranslationResult#OFFERED} announced, one piece of at most 8 bytes: the
   * monitor checks it and performs it, or refuses and has changed nothing.
   *
   * @return whether it was performed; else the page fault that was found is raised
   */
  default boolean offeredWrite(long hpa, int sizeBytes, long value) {
    throw new IllegalStateException("an offered write that nobody asked for: hpa=" + hpa);
  }

  /** Reads a device register at a guest physical address; 1, 2, 4 or 8 bytes, zero-extended. */
  long deviceRead(long gpa, int sizeBytes);

  /** Writes a device register at a guest physical address. */
  void deviceWrite(long gpa, int sizeBytes, long value);

  /** IN from a port; 1, 2 or 4 bytes, zero-extended. */
  int portRead(int port, int sizeBytes);

  /** OUT to a port. */
  void portWrite(int port, int sizeBytes, int value);

  /** MOV to CR3 was executed and is intercepted; the paging state already holds the new value. */
  void cr3Written(boolean keepTranslations);

  /** CR0, CR4 or EFER changed in a bit that concerns paging, and that is intercepted. */
  void pagingControlsWritten();

  /** INVLPG was executed and is intercepted. */
  void invlpg(long gva);

  /** INVPCID was executed and is intercepted; {@code type} 0 to 3. */
  void invpcid(int type, int pcid, long gva);

  /**
   * The vector of the interrupt that the interrupt controller wants to deliver, acknowledged; -1 if
   * none.
   */
  int acknowledgeInterrupt();

  /** The time-stamp counter's value now. */
  long timestamp();

  /**
   * RDMSR of a register the processor does not keep itself (APIC base, TSC deadline …).
   *
   * @return whether it exists; its value is then {@link #msrValue}
   */
  boolean readMsr(int index);

  /** The value found by the last successful {@link #readMsr}. */
  long msrValue();

  /** WRMSR of a register the processor does not keep itself; false raises #GP. */
  boolean writeMsr(int index, long value);

  /** The task-priority register as CR8 shows it, 0 to 15. */
  int taskPriority();

  /** MOV to CR8. */
  void setTaskPriority(int value);

  /** Called for CPUID so that exits are counted; the processor answers by itself. */
  void cpuidExecuted(int leaf, int subleaf);
}
