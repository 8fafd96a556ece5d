package memvisor.device.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import memvisor.device.FakeClock;
import memvisor.device.RecordingLine;
import memvisor.device.TimedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RealTimeClockTest {
  private static final long SECOND = 1_000_000_000L;
  private final FakeClock clock = new FakeClock();
  private final RecordingLine line = new RecordingLine();
  private RealTimeClock rtc = at("2024-02-28T23:59:58Z", 256L << 20);

  private RealTimeClock at(String date, long memoryBytes) {
    return new RealTimeClock(clock, line, Instant.parse(date), memoryBytes);
  }

  private int in(int index) {
    rtc.writePort(0x70, 1, index);
    return rtc.readPort(0x71, 1);
  }

  private void out(int index, int value) {
    rtc.writePort(0x70, 1, index);
    rtc.writePort(0x71, 1, value);
  }

  /** Century, year, month, day, hour, minute, second, weekday as registers show them. */
  private String date() {
    StringBuilder text = new StringBuilder();
    for (int index : new int[] {0x32, 9, 8, 7, 4, 2, 0, 6}) {
      text.append("%02x ".formatted(in(index)));
    }
    return text.toString().trim();
  }

  @Test
  void dateIsBcdAndRunsWithTheClock() {
    assertThat(date()).isEqualTo("20 24 02 28 23 59 58 04");
    clock.now = 2 * SECOND - 1;
    assertThat(date()).isEqualTo("20 24 02 28 23 59 59 04");
    clock.now = 2 * SECOND;
    assertThat(date()).as("a leap year").isEqualTo("20 24 02 29 00 00 00 05");
  }

  @ParameterizedTest
  @CsvSource({
    // register B, hour, as shown
    "0x02, 00, 0x00",
    "0x02, 12, 0x12",
    "0x02, 23, 0x23",
    "0x06, 00, 0x00",
    "0x06, 23, 0x17",
    "0x00, 00, 0x12",
    "0x00, 11, 0x11",
    "0x00, 12, 0x92",
    "0x00, 23, 0x91",
    "0x04, 00, 0x0C",
    "0x04, 13, 0x81",
  })
  void hourFollowsTheModesOfRegisterB(String registerB, String hour, String shown) {
    rtc = at("2001-01-01T" + hour + ":00:00Z", 1 << 20);
    out(0x0B, Integer.decode(registerB));
    assertThat(in(4)).isEqualTo(Integer.decode(shown));
    out(4, Integer.decode(shown));
    out(0x0B, 6);
    assertThat(in(4)).as("written back").isEqualTo(Integer.parseInt(hour));
  }

  @Test
  void updateInProgressIsNeverSeenAndTheDateIsValid() {
    assertThat(in(0x0A)).isEqualTo(0x26);
    out(0x0A, 0xA6);
    assertThat(in(0x0A)).isEqualTo(0x26);
    assertThat(in(0x0B)).isEqualTo(0x02);
    assertThat(in(0x0D)).isEqualTo(0x80);
    assertThat(rtc.readPort(0x70, 1)).isEqualTo(0xFF);
  }

  @Test
  void dateSetFieldByFieldPassesThroughNoImpossibleDate() {
    out(0x0B, 0x82);
    out(7, 0x31);
    clock.now = 5 * SECOND;
    assertThat(in(0)).as("stopped").isEqualTo(0x58);
    out(8, 0x12);
    out(9, 0x99);
    out(0x32, 0x19);
    out(4, 0x23);
    out(2, 0x59);
    out(0, 0x59);
    out(0x0B, 0x02);
    assertThat(date()).isEqualTo("19 99 12 31 23 59 59 06");
    clock.now = 6 * SECOND;
    assertThat(date()).isEqualTo("20 00 01 01 00 00 00 07");
  }

  @Test
  void nonsenseDatesAreTamed() {
    out(8, 0x00);
    out(7, 0xFF);
    out(0, 0x99);
    assertThat(in(8)).isEqualTo(0x01);
    assertThat(in(7)).isEqualTo(0x31);
    assertThat(in(0)).isEqualTo(0x59);
  }

  @Test
  void updateInterruptComesEverySecondUntilRead() {
    in(0x0C);
    out(0x0B, 0x12);
    clock.now = SECOND / 2;
    assertThat(rtc.nextDeadlineNanos()).isEqualTo(SECOND);
    clock.runTo(SECOND, rtc);
    assertThat(line.asserted).isTrue();
    assertThat(rtc.nextDeadlineNanos()).as("waits to be read").isEqualTo(TimedDevice.NEVER);
    // The periodic flag is set too, but not enabled.
    assertThat(in(0x0C)).isEqualTo(0xD0);
    assertThat(line.asserted).isFalse();
    assertThat(in(0x0C)).isZero();
    assertThat(rtc.nextDeadlineNanos()).isEqualTo(2 * SECOND);
  }

  @Test
  void alarmComesAtItsTimeOnly() {
    out(1, 0x01);
    out(3, 0x00);
    out(5, 0xC0);
    out(0x0B, 0x22);
    clock.runTo(2 * SECOND, rtc);
    assertThat(line.asserted).isFalse();
    clock.runTo(3 * SECOND, rtc);
    assertThat(line.asserted).isTrue();
    assertThat(in(0x0C) & 0xA0).isEqualTo(0xA0);
    clock.runTo(62 * SECOND, rtc);
    assertThat(line.asserted).as("any hour, but not any minute").isFalse();
  }

  @ParameterizedTest
  @CsvSource({"0x26, 976563", "0x2F, 500000000", "0x23, 122071", "0x21, 3906250"})
  void periodicInterruptFollowsItsRate(String registerA, long periodNanos) {
    out(0x0A, Integer.decode(registerA));
    out(0x0B, 0x42);
    assertThat(rtc.nextDeadlineNanos()).isEqualTo(periodNanos);
    clock.runTo(periodNanos, rtc);
    assertThat(in(0x0C) & 0xC0).isEqualTo(0xC0);
  }

  @ParameterizedTest
  @CsvSource({
    // MiB; extended KiB; 64 KiB units above 16 MiB; 64 KiB units above 4 GiB
    "16, 0x3C00, 0x0000, 0x0000",
    "256, 0xFFFF, 0x0F00, 0x0000",
    "3072, 0xFFFF, 0xBF00, 0x0000",
    "4096, 0xFFFF, 0xBF00, 0x4000",
  })
  void memorySizeIsInTheCmos(long mib, String extended, String above16, String above4g) {
    rtc = at("2001-01-01T00:00:00Z", mib << 20);
    assertThat(in(0x15) | in(0x16) << 8).isEqualTo(640);
    assertThat(in(0x30) | in(0x31) << 8).isEqualTo(Integer.decode(extended));
    assertThat(in(0x17) | in(0x18) << 8).isEqualTo(Integer.decode(extended));
    assertThat(in(0x34) | in(0x35) << 8).isEqualTo(Integer.decode(above16));
    assertThat(in(0x5B) | in(0x5C) << 8).isEqualTo(Integer.decode(above4g));
  }

  @Test
  void otherBytesAreMemory() {
    out(0x0F, 0x5A);
    out(0x7F, 0xA5);
    assertThat(in(0x0F)).isEqualTo(0x5A);
    assertThat(in(0xFF)).as("bit 7 of the index masks NMI").isEqualTo(0xA5);
  }
}
