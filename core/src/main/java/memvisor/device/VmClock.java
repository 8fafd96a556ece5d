package memvisor.device;

/** The one clock of a VM, real or virtual; every timer and counter of the VM derives from it. */
@FunctionalInterface
public interface VmClock {
  /** Nanoseconds since the VM was powered on; never decreases. */
  long nanos();
}
