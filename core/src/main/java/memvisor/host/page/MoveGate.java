package memvisor.host.page;

/**
 * Runs an action while no vCPU of a VM runs: each of them stands at a block boundary and uses no
 * address it translated before.
 *
 * <p>{@code machine} implements it; {@link #STOPPED} serves whoever holds the VM stopped anyway.
 */
@FunctionalInterface
public interface MoveGate {
  /** For a VM that its caller holds stopped. */
  MoveGate STOPPED = Runnable::run;

  /** Stops the vCPUs, runs {@code action} to its end, and lets them go on. */
  void whileStopped(Runnable action);
}
