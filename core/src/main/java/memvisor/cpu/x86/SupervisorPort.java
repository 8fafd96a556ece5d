package memvisor.cpu.x86;

/**
 * Takes the place of ring 0 for a guest kernel that runs at CPL 3 (a Xen PV guest): what would
 * enter an interrupt handler or the system-call target exits to the monitor instead, which changes
 * registers and resumes.
 *
 * <p>Called on the vCPU's thread between two instructions, or as the last act of one. RIP and every
 * other register may be read and written through {@link RegisterFile}.
 */
public interface SupervisorPort {
  /**
   * An exception was raised; RIP is what would be saved. CR2 holds the address of a page fault.
   *
   * @param errorCode 0 for vectors without one
   */
  void exception(int vector, int errorCode);

  /**
   * INT n, INT3 or INTO. Sets RIP if it lets the interrupt through.
   *
   * @param nextRip the address of the next instruction
   * @return whether the interrupt is permitted; else #GP(vector · 8 + 2) is raised
   */
  boolean softwareInterrupt(int vector, long nextRip);

  /**
   * SYSCALL. Sets RIP; RCX and R11 still hold the caller's values.
   *
   * @param nextRip the address of the next instruction
   */
  void systemCall(long nextRip);

  /** SYSENTER. Sets RIP and RSP, of which the instruction keeps neither. */
  void fastSystemCall();
}
