package memvisor.machine.xen;

import memvisor.device.TimedDevice;

/** The single-shot and the periodic timer of a vCPU, both VIRQ_TIMER. */
final class PvTimers implements TimedDevice {
  private final Runnable expired;
  private long deadlineNanos = NEVER;
  private long periodNanos;
  private long nextPeriodNanos = NEVER;

  PvTimers(Runnable expired) {
    this.expired = expired;
  }

  /** Sets or, with {@link #NEVER}, stops the single-shot timer. */
  void setSingleShot(long atNanos) {
    deadlineNanos = atNanos;
  }

  /** Starts the periodic timer; 0 stops it. */
  void setPeriod(long nowNanos, long newPeriodNanos) {
    periodNanos = newPeriodNanos;
    nextPeriodNanos = newPeriodNanos == 0 ? NEVER : nowNanos + newPeriodNanos;
  }

  @Override
  public long nextDeadlineNanos() {
    return Math.min(deadlineNanos, nextPeriodNanos);
  }

  @Override
  public void advance(long nowNanos) {
    boolean due = nowNanos >= nextDeadlineNanos();
    if (nowNanos >= deadlineNanos) {
      deadlineNanos = NEVER;
    }
    if (nowNanos >= nextPeriodNanos) {
      nextPeriodNanos = nowNanos + periodNanos;
    }
    if (due) {
      expired.run();
    }
  }
}
