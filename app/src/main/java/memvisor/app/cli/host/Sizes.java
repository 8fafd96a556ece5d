package memvisor.app.cli.host;

import java.util.Locale;

/** Sizes and times in the tables. */
final class Sizes {
  private static final double MIB = 1 << 20;
  private static final double SECOND = 1e9;

  private Sizes() {}

  /** MiB without the unit, with one digit behind the point where that says something. */
  static String mib(long bytes) {
    double mib = bytes / MIB;
    return bytes == 0
        ? "-"
        : mib == Math.rint(mib) ? format("%.0f", mib) : mib < 0.1 ? "<0.1" : format("%.1f", mib);
  }

  /** How long ago something was. */
  static String ago(long nanos) {
    double seconds = nanos / SECOND;
    return seconds < 100 ? format("%.1f s ago", seconds) : format("%.0f min ago", seconds / 60);
  }

  /** A time, in the unit that suits it. */
  static String time(double nanos) {
    return nanos < 1e3
        ? format("%.0f ns", nanos)
        : nanos < 1e6
            ? format("%.1f us", nanos / 1e3)
            : nanos < 1e9 ? format("%.1f ms", nanos / 1e6) : format("%.1f s", nanos / 1e9);
  }

  private static String format(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
