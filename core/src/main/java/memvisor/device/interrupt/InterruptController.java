package memvisor.device.interrupt;

/** The interrupt controller as one processor sees it. */
public interface InterruptController {
  /**
   * Whether an interrupt waits that the task priority lets through; whether RFLAGS.IF does is the
   * processor's business. Cheap, and may be called from any thread.
   */
  boolean interruptPending();

  /** Takes the waiting interrupt: its vector, 0 to 255, or -1 if there is none any more. */
  int acknowledge();

  /** CR8: bits 7:4 of the task-priority register. */
  int taskPriority();

  /** MOV to CR8; 0 to 15. */
  void setTaskPriority(int value);
}
