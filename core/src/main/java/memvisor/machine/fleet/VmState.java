package memvisor.machine.fleet;

import java.util.Locale;

/** What a VM is doing. */
public enum VmState {
  /** Switched off, and without memory: not started yet, or ended in order. */
  OFF,
  /** Getting its memory and its kernel. */
  STARTING,
  /** Running, or idle. */
  RUNNING,
  /** Held: neither its vCPU nor its clock moves. */
  PAUSED,
  /** Ended by a failure of its own; what it had was given back. */
  CRASHED;

  /** Whether it may be started. */
  public boolean isOff() {
    return this == OFF || this == CRASHED;
  }

  /** The word for users. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
