package memvisor.device;

/**
 * A vCPU's time-stamp counter: the VM's clock at a constant rate, plus what the guest added.
 *
 * <p>Intel SDM volume 3, 18.17: invariant TSC, IA32_TIME_STAMP_COUNTER (10h) and IA32_TSC_ADJUST
 * (3Bh).
 */
public final class TimeStampCounter {
  private final VmClock clock;
  private final Frequency frequency;
  private long adjust;

  /** A counter that is zero when the clock is. */
  public TimeStampCounter(VmClock clock, Frequency frequency) {
    this.clock = clock;
    this.frequency = frequency;
  }

  /** The rate the counter runs at. */
  public Frequency frequency() {
    return frequency;
  }

  /** The counter now. */
  public long value() {
    return frequency.ticksAt(clock.nanos()) + adjust;
  }

  /** WRMSR to IA32_TIME_STAMP_COUNTER: changes IA32_TSC_ADJUST by the same amount. */
  public void setValue(long value) {
    adjust += value - value();
  }

  /** IA32_TSC_ADJUST. */
  public long adjust() {
    return adjust;
  }

  /** WRMSR to IA32_TSC_ADJUST. */
  public void setAdjust(long value) {
    adjust = value;
  }

  /** The clock value at which the counter reaches {@code tsc}; now or earlier gives 0. */
  public long nanosAt(long tsc) {
    long ticks = tsc - adjust;
    // The guest's value is unsigned: beyond 2^63 lies the far future, unless adjust wrapped it.
    if (ticks < 0) {
      return Long.compareUnsigned(tsc, adjust) < 0 ? 0 : Long.MAX_VALUE;
    }
    return frequency.nanosAt(ticks);
  }
}
