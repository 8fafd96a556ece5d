package memvisor.app.cli.host;

/** Sizes in the tables. */
final class Sizes {
  private static final double MIB = 1 << 20;

  private Sizes() {}

  /** MiB without the unit, with one digit behind the point where that says something. */
  static String mib(long bytes) {
    double mib = bytes / MIB;
    return bytes == 0 ? "-" : mib == Math.rint(mib) ? "%.0f".formatted(mib) : "%.1f".formatted(mib);
  }
}
