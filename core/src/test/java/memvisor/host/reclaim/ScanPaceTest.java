package memvisor.host.reclaim;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.host.dedup.DedupOptions;
import org.junit.jupiter.api.Test;

final class ScanPaceTest {
  private static final long KNOB_NANOS = 20_000_000;

  private final ScanPace pace = new ScanPace(DedupOptions.ON.withMaxSlowDown(32));

  @Test
  void scansThatMergeNothingSlowTheScanUpToABound() {
    assertThat(pace.pauseNanos()).isEqualTo(KNOB_NANOS);
    pace.scanned(10_000, 100);
    assertThat(pace.pauseNanos()).isEqualTo(2 * KNOB_NANOS);
    scanInVain(20);
    assertThat(pace.pauseNanos()).isEqualTo(32 * KNOB_NANOS);
  }

  @Test
  void scansThatMergeMuchSpeedItUpAgain() {
    scanInVain(20);
    for (long factor : new long[] {8, 2, 1, 1}) {
      pace.scanned(10_000, 200);
      assertThat(pace.pauseNanos()).isEqualTo(factor * KNOB_NANOS);
    }
  }

  @Test
  void whatTheGuestTakesBackWasNotMerged() {
    for (int page = 0; page < 150; page++) {
      pace.unshared();
    }
    pace.scanned(10_000, 300);
    assertThat(pace.pauseNanos()).isEqualTo(2 * KNOB_NANOS);
    pace.scanned(10_000, 300);
    assertThat(pace.pauseNanos()).isEqualTo(KNOB_NANOS);
  }

  @Test
  void shortMemoryIsWorthEveryScan() {
    scanInVain(20);
    pace.hurry();
    assertThat(pace.pauseNanos()).isEqualTo(KNOB_NANOS);
  }

  @Test
  void thePaceIsShownWithItsReason() {
    assertThat(pace.rate()).isEqualTo(new ScanRate(1024, 20, 1, "no full scan has ended"));
    pace.unshared();
    pace.scanned(10_000, 3);
    assertThat(pace.rate())
        .isEqualTo(
            new ScanRate(
                1024,
                40,
                2,
                "the last full scan merged 3 of 10000 pages, and the guest wrote 1 that were"
                    + " merged: that does not pay"));
    pace.hurry();
    assertThat(pace.rate()).isEqualTo(new ScanRate(1024, 20, 1, "memory is short"));
  }

  @Test
  void unlessSaidOtherwiseAScanGetsEightTimesSlowerAtMost() {
    ScanPace usual = new ScanPace(DedupOptions.ON);
    for (int scan = 0; scan < 20; scan++) {
      usual.scanned(10_000, 0);
    }
    assertThat(usual.pauseNanos()).isEqualTo(8 * KNOB_NANOS);
  }

  private void scanInVain(int times) {
    for (int scan = 0; scan < times; scan++) {
      pace.scanned(10_000, 0);
    }
  }
}
