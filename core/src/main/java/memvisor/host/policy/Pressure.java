package memvisor.host.policy;

/**
 * How much of its time a VM waited for memory: the pressure stall information of Linux
 * (Documentation/accounting/psi.rst), for a VM, on that VM's clock.
 *
 * @param some waiting of at least one processor
 * @param full waiting of all processors at once
 */
public record Pressure(Share some, Share full) {
  /** No waiting. */
  public static final Pressure NONE = new Pressure(Share.NONE, Share.NONE);

  /**
   * Averages over about 10, 60 and 300 seconds, in percent, and all the waiting since the start.
   *
   * @param totalMicros in microseconds
   */
  public record Share(double avg10, double avg60, double avg300, long totalMicros) {
    /** No waiting. */
    public static final Share NONE = new Share(0, 0, 0, 0);
  }

  /** In the two lines of Linux' {@code /proc/pressure/memory}. */
  @Override
  public String toString() {
    return line("some", some) + "\n" + line("full", full);
  }

  private static String line(String name, Share share) {
    return String.format(
        java.util.Locale.ROOT,
        "%s avg10=%.2f avg60=%.2f avg300=%.2f total=%d",
        name,
        share.avg10,
        share.avg60,
        share.avg300,
        share.totalMicros);
  }
}
