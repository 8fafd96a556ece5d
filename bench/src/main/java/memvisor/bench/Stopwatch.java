package memvisor.bench;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;

/**
 * Times an operation in processor time of the calling thread, which other load on the machine
 * disturbs least; several rounds, of which the median counts.
 */
final class Stopwatch {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final long[] nanos;
  private int rounds;
  private long started;

  Stopwatch(int mostRounds) {
    nanos = new long[mostRounds];
  }

  void start() {
    started = THREADS.getCurrentThreadCpuTime();
  }

  void stop() {
    nanos[rounds++] = THREADS.getCurrentThreadCpuTime() - started;
  }

  /** Median nanoseconds of a round. */
  double medianNanos() {
    long[] sorted = Arrays.copyOf(nanos, rounds);
    Arrays.sort(sorted);
    return sorted[rounds / 2];
  }

  /** Gigabytes (10^9) a second, when each round worked on so many bytes. */
  double gigabytesPerSecond(double bytes) {
    return bytes / medianNanos();
  }
}
