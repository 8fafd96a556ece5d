package memvisor.device;

/** A device that acts by itself when time passes. */
public interface TimedDevice {
  /** The deadline of a device that waits for nothing. */
  long NEVER = Long.MAX_VALUE;

  /**
   * The clock value at which {@link #advance} must next be called, {@link #NEVER} if there is none.
   * Any access to the device may change it.
   */
  long nextDeadlineNanos();

  /**
   * Lets the device do what is due at {@code nowNanos}. Calling it early or late is harmless: an
   * early call does nothing, and periods that were missed are delivered as one.
   */
  void advance(long nowNanos);
}
