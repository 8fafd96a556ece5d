package memvisor.host.policy;

/**
 * Measures the {@link Pressure} of one VM.
 *
 * <p>Whoever makes a processor wait for memory says so by {@link #began} and {@link #ended}.
 * Averages are brought up to date once per {@link #PERIOD_NANOS} of the VM's clock, by the factors
 * that Linux uses: a running average that weighs the last period against those before. A VM that is
 * paused keeps its averages. Thread-safe.
 */
public final class PressureMeter {
  /** Two seconds, as in Linux. */
  public static final long PERIOD_NANOS = 2_000_000_000L;

  private static final double[] DECAY = {
    Math.exp(-2.0 / 10), Math.exp(-2.0 / 60), Math.exp(-2.0 / 300)
  };

  private final int processors;
  private int waiting;
  private long lastChangeNanos;
  private long someNanos;
  private long fullNanos;
  private long periodStart;
  private long periodSome;
  private long periodFull;
  private final double[] someAverages = new double[DECAY.length];
  private final double[] fullAverages = new double[DECAY.length];

  /** For a VM with so many processors: "full" is when all of them wait. */
  public PressureMeter(int processors) {
    this.processors = processors;
  }

  /** A processor waits from now on; {@code nowNanos} is the host's clock. */
  public synchronized void began(long nowNanos) {
    passTo(nowNanos);
    waiting++;
  }

  /** A processor waits no longer. */
  public synchronized void ended(long nowNanos) {
    passTo(nowNanos);
    waiting--;
  }

  private void passTo(long nowNanos) {
    long passed = Math.max(0, nowNanos - lastChangeNanos);
    someNanos += waiting > 0 ? passed : 0;
    fullNanos += waiting >= processors ? passed : 0;
    lastChangeNanos = nowNanos;
  }

  /** All waiting of at least one processor so far, in nanoseconds. */
  public synchronized long someNanos() {
    return someNanos;
  }

  /**
   * Brings the averages up to date.
   *
   * @param vmNanos the VM's clock
   */
  public synchronized void update(long vmNanos) {
    long elapsed = vmNanos - periodStart;
    if (elapsed < PERIOD_NANOS) {
      return;
    }
    // Where the VM's time stands still while it waits, the waiting comes on top of it.
    double some = share(someNanos - periodSome, elapsed);
    double full = share(fullNanos - periodFull, elapsed);
    // A VM that slept through several periods waited in none of them but on average.
    long periods = Math.min(1000, elapsed / PERIOD_NANOS);
    for (int i = 0; i < DECAY.length; i++) {
      double keep = Math.pow(DECAY[i], periods);
      someAverages[i] = someAverages[i] * keep + some * (1 - keep);
      fullAverages[i] = fullAverages[i] * keep + full * (1 - keep);
    }
    periodStart = vmNanos;
    periodSome = someNanos;
    periodFull = fullNanos;
  }

  private static double share(long waitedNanos, long elapsedNanos) {
    return 100.0 * waitedNanos / Math.max(waitedNanos, elapsedNanos);
  }

  /** The averages as of the last {@link #update}. */
  public synchronized Pressure pressure() {
    return new Pressure(share(someAverages, someNanos), share(fullAverages, fullNanos));
  }

  private static Pressure.Share share(double[] averages, long nanos) {
    return new Pressure.Share(averages[0], averages[1], averages[2], nanos / 1000);
  }
}
