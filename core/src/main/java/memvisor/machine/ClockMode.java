package memvisor.machine;

/** Where a VM's time comes from. */
public enum ClockMode {
  /**
   * From retired instructions, one nanosecond each, and idle time is skipped: a run is
   * deterministic, instruction for instruction.
   */
  VIRTUAL,
  /** From the host's clock; an idle guest sleeps. */
  REAL
}
