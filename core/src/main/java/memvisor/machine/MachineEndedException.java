package memvisor.machine;

/** Somebody asks a machine that has been closed. */
public final class MachineEndedException extends IllegalStateException {
  private static final long serialVersionUID = 1L;

  MachineEndedException() {
    super("the machine has ended");
  }
}
