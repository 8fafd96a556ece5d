package memvisor.host.policy;

import static memvisor.host.policy.Views.SECOND;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

/** The averages follow the waiting as Linux' do. */
final class PressureMeterTest {
  @Test
  void aVmThatAlwaysWaitsApproachesAHundredPercentAtThreeSpeeds() {
    PressureMeter meter = new PressureMeter(1);
    meter.began(0);
    for (long second = 2; second <= 10; second += 2) {
      meter.ended(second * SECOND);
      meter.update(second * SECOND);
      meter.began(second * SECOND);
    }
    Pressure.Share full = meter.pressure().full();
    // 1 - e^(-t/T), as the manual of getloadavg has it.
    assertThat(full.avg10()).isCloseTo(100 * (1 - Math.exp(-1)), within(0.01));
    assertThat(full.avg60()).isCloseTo(100 * (1 - Math.exp(-10.0 / 60)), within(0.01));
    assertThat(full.avg300()).isCloseTo(100 * (1 - Math.exp(-10.0 / 300)), within(0.01));
    assertThat(full.totalMicros()).isEqualTo(10_000_000);
  }

  @Test
  void halfOfTheTimeIsFiftyPercentAndFadesAwayAfterwards() {
    PressureMeter meter = new PressureMeter(1);
    for (long second = 0; second < 200; second += 2) {
      meter.began(second * SECOND);
      meter.ended((second + 1) * SECOND);
      meter.update((second + 2) * SECOND);
    }
    assertThat(meter.pressure().some().avg10()).isCloseTo(50, within(0.1));
    meter.update(240 * SECOND);
    assertThat(meter.pressure().some().avg10())
        .as("40 s later")
        .isCloseTo(50 * Math.exp(-4), within(0.1));
  }

  @Test
  void someIsOneProcessorAndFullIsAllOfThem() {
    PressureMeter meter = new PressureMeter(2);
    meter.began(0);
    meter.began(3 * SECOND);
    meter.ended(4 * SECOND);
    meter.ended(6 * SECOND);
    assertThat(meter.pressure().some().totalMicros()).isEqualTo(6_000_000);
    assertThat(meter.pressure().full().totalMicros()).isEqualTo(1_000_000);
  }

  @Test
  void aPausedVmKeepsItsAverages() {
    PressureMeter meter = new PressureMeter(1);
    meter.began(0);
    meter.ended(SECOND);
    meter.update(2 * SECOND);
    double before = meter.pressure().some().avg10();
    meter.update(2 * SECOND);
    meter.update(3 * SECOND);
    assertThat(meter.pressure().some().avg10()).isEqualTo(before).isPositive();
  }

  @Test
  void waitingInWhichTheVmsTimeStandsStillIsNeverMoreThanAll() {
    PressureMeter meter = new PressureMeter(1);
    meter.began(0);
    meter.ended(1000 * SECOND);
    meter.update(2 * SECOND);
    assertThat(meter.pressure().some().avg10()).isBetween(0.0, 100.0);
  }

  @Test
  void itReadsAsLinuxWritesIt() {
    assertThat(Pressure.NONE.toString())
        .isEqualTo(
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
                + "full avg10=0.00 avg60=0.00 avg300=0.00 total=0");
  }
}
