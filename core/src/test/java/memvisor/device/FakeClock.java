package memvisor.device;

/** A clock that a test sets. */
public final class FakeClock implements VmClock {
  public long now;

  @Override
  public long nanos() {
    return now;
  }

  /** Runs to {@code nanos} as a machine does: stops at every deadline on the way. */
  public void runTo(long nanos, TimedDevice device) {
    while (device.nextDeadlineNanos() <= nanos) {
      now = Math.max(now, device.nextDeadlineNanos());
      device.advance(now);
    }
    now = nanos;
    device.advance(now);
  }
}
