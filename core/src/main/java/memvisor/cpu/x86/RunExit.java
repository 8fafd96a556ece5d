package memvisor.cpu.x86;

/** Why {@link Vcpu#run} returned. */
public enum RunExit {
  /** The instruction budget is spent, or another thread asked for attention. */
  BUDGET,
  /** HLT was executed and no interrupt is deliverable. */
  HALTED,
  /** Triple fault. */
  SHUTDOWN,
  /** {@link Vcpu#requestStop} was called. */
  STOPPED,
  /** The monitor or the processor cannot go on; see {@link Vcpu#failure}. */
  FAILED
}
