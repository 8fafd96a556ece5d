package memvisor.device;

/** What the guest can do to the machine as a whole. Called in the middle of a guest instruction. */
public interface PowerEvents {
  /** The guest switched the machine off (ACPI S5). */
  void powerOff();

  /** The guest asked for a system reset. */
  void reset();

  /** The guest wrote {@code value} to the debug-exit port. */
  void debugExit(int value);
}
