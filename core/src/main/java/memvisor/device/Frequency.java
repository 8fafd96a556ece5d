package memvisor.device;

/**
 * A clock rate, and the two exact conversions between nanoseconds and whole ticks.
 *
 * @param hertz ticks per second, 1 to 9,000,000,000
 */
public record Frequency(long hertz) {
  private static final long NANOS_PER_SECOND = 1_000_000_000L;
  // (10^9 - 1) * hertz must fit in 63 bits.
  private static final long MAXIMUM_HERTZ = 9_000_000_000L;

  /** Checks the range. */
  public Frequency {
    if (hertz < 1 || hertz > MAXIMUM_HERTZ) {
      throw new IllegalArgumentException(
          "hertz=%d is not in 1..%d".formatted(hertz, MAXIMUM_HERTZ));
    }
  }

  /** The number of whole ticks completed in {@code nanos}. */
  public long ticksAt(long nanos) {
    return nanos / NANOS_PER_SECOND * hertz + nanos % NANOS_PER_SECOND * hertz / NANOS_PER_SECOND;
  }

  /**
   * The first nanosecond at which {@code ticks} whole ticks are completed; {@link Long#MAX_VALUE}
   * if that is beyond the range of a clock.
   */
  public long nanosAt(long ticks) {
    long seconds = ticks / hertz;
    if (seconds >= Long.MAX_VALUE / NANOS_PER_SECOND) {
      return Long.MAX_VALUE;
    }
    long fraction = ticks % hertz * NANOS_PER_SECOND;
    return seconds * NANOS_PER_SECOND + Math.ceilDiv(fraction, hertz);
  }
}
