package memvisor.host.reclaim;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class ScanPaceTest {
  private static final long KNOB = 20;
  private static final long KNOB_NANOS = 20_000_000;

  private final ScanPace pace = new ScanPace();

  @Test
  void scansThatMergeNothingSlowTheScanUpToABound() {
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(KNOB_NANOS);
    pace.scanned(10_000, 100);
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(2 * KNOB_NANOS);
    scanInVain(20);
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(32 * KNOB_NANOS);
  }

  @Test
  void scansThatMergeMuchSpeedItUpAgain() {
    scanInVain(20);
    for (long factor : new long[] {8, 2, 1, 1}) {
      pace.scanned(10_000, 200);
      assertThat(pace.pauseNanos(KNOB)).isEqualTo(factor * KNOB_NANOS);
    }
  }

  @Test
  void whatTheGuestTakesBackWasNotMerged() {
    for (int page = 0; page < 150; page++) {
      pace.unshared();
    }
    pace.scanned(10_000, 300);
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(2 * KNOB_NANOS);
    pace.scanned(10_000, 300);
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(KNOB_NANOS);
  }

  @Test
  void shortMemoryIsWorthEveryScan() {
    scanInVain(20);
    pace.hurry();
    assertThat(pace.pauseNanos(KNOB)).isEqualTo(KNOB_NANOS);
  }

  private void scanInVain(int times) {
    for (int scan = 0; scan < times; scan++) {
      pace.scanned(10_000, 0);
    }
  }
}
