package memvisor.device.interrupt;

import memvisor.device.Frequency;
import memvisor.device.TimeStampCounter;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * The local APIC's timer: SDM volume 3, 11.5.4. It counts crystal ticks, divided.
 *
 * <p>Only the next expiry is kept; the current count is computed from it.
 */
final class ApicTimer {
  private static final int MODE_ONE_SHOT = 0;
  private static final int MODE_PERIODIC = 1;
  private static final int MODE_TSC_DEADLINE = 2;

  private final VmClock clock;
  private final Frequency crystal;
  private final TimeStampCounter tsc;
  private int mode;
  private int divideConfiguration;
  private long initialCount;
  private boolean counting;
  private long expiryTicks;
  private long tscDeadline;

  ApicTimer(VmClock clock, Frequency crystal, TimeStampCounter tsc) {
    this.clock = clock;
    this.crystal = crystal;
    this.tsc = tsc;
  }

  void reset() {
    mode = MODE_ONE_SHOT;
    divideConfiguration = 0;
    initialCount = 0;
    counting = false;
    tscDeadline = 0;
  }

  /** LVT timer bits 18:17. */
  void setMode(int value) {
    if (value != mode && (value == MODE_TSC_DEADLINE || mode == MODE_TSC_DEADLINE)) {
      counting = false;
      initialCount = 0;
      tscDeadline = 0;
    }
    mode = value;
  }

  int divideConfiguration() {
    return divideConfiguration;
  }

  void setDivideConfiguration(int value) {
    long count = currentCount();
    divideConfiguration = value & 0xB;
    if (counting) {
      expiryTicks = crystal.ticksAt(clock.nanos()) + count * divisor();
    }
  }

  long initialCount() {
    return initialCount;
  }

  void setInitialCount(long value) {
    if (mode == MODE_TSC_DEADLINE) {
      return;
    }
    initialCount = value;
    counting = value != 0;
    expiryTicks = crystal.ticksAt(clock.nanos()) + value * divisor();
  }

  long currentCount() {
    if (!counting) {
      return 0;
    }
    long remaining = expiryTicks - crystal.ticksAt(clock.nanos());
    if (remaining > 0) {
      return Math.ceilDiv(remaining, divisor());
    }
    if (mode == MODE_ONE_SHOT) {
      return 0;
    }
    long period = initialCount * divisor();
    return Math.ceilDiv(period - Math.floorMod(-remaining, period), divisor());
  }

  long tscDeadline() {
    return tscDeadline;
  }

  void setTscDeadline(long value) {
    if (mode == MODE_TSC_DEADLINE) {
      tscDeadline = value;
    }
  }

  long nextDeadlineNanos() {
    if (mode == MODE_TSC_DEADLINE) {
      return tscDeadline == 0 ? TimedDevice.NEVER : tsc.nanosAt(tscDeadline);
    }
    return counting ? crystal.nanosAt(expiryTicks) : TimedDevice.NEVER;
  }

  /** Whether the timer has expired by {@code nowNanos}; it is then stopped or set for the next. */
  boolean expire(long nowNanos) {
    if (nowNanos < nextDeadlineNanos()) {
      return false;
    }
    if (mode == MODE_TSC_DEADLINE) {
      tscDeadline = 0;
    } else if (mode == MODE_PERIODIC) {
      long period = initialCount * divisor();
      long late = crystal.ticksAt(nowNanos) - expiryTicks;
      expiryTicks += (late / period + 1) * period;
    } else {
      counting = false;
    }
    return true;
  }

  /** SDM volume 3, figure 11-10: bits 3, 1 and 0 give log2 of the divisor less one; 111 is 1. */
  private long divisor() {
    int code = divideConfiguration & 3 | divideConfiguration >> 1 & 4;
    return 1L << (code + 1 & 7);
  }
}
