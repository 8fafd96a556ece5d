package memvisor.device.pc;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.device.FakeClock;
import memvisor.device.Frequency;
import memvisor.device.RecordingLine;
import memvisor.device.TimedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Pit8254Test {
  private static final Frequency INPUT = new Frequency(1_193_182);
  private final FakeClock clock = new FakeClock();
  private final RecordingLine line = new RecordingLine();
  private final Pit8254 pit = new Pit8254(clock, line);

  private void out(int port, int... values) {
    for (int value : values) {
      pit.writePort(port, 1, value);
    }
  }

  private int in(int port) {
    return pit.readPort(port, 1);
  }

  private int word(int port) {
    return in(port) | in(port) << 8;
  }

  private void runToTick(long tick) {
    clock.runTo(INPUT.nanosAt(tick), pit);
  }

  @ParameterizedTest
  @CsvSource({"0x34", "0x36"})
  void periodicModesInterruptOncePerPeriod(String control) {
    out(0x43, Integer.decode(control));
    out(0x40, 0xA9, 0x04);
    int before = line.risingEdges;
    // 1193 ticks: a kernel's 1000 Hz.
    for (int period = 1; period <= 5; period++) {
      assertThat(pit.nextDeadlineNanos()).isEqualTo(INPUT.nanosAt(1193L * period));
      runToTick(1193L * period - 1);
      assertThat(line.risingEdges - before).isEqualTo(period - 1);
      runToTick(1193L * period);
      assertThat(line.risingEdges - before).isEqualTo(period);
    }
    clock.now = INPUT.nanosAt(1193L * 9 + 5);
    pit.advance(clock.now);
    assertThat(line.risingEdges - before).as("missed periods are one").isEqualTo(6);
  }

  @Test
  void terminalCountRaisesItsOutputOnceAndStaysHigh() {
    out(0x43, 0x30);
    assertThat(line.asserted).isFalse();
    out(0x40, 100, 0);
    runToTick(99);
    assertThat(line.asserted).isFalse();
    runToTick(100);
    assertThat(line.asserted).isTrue();
    assertThat(pit.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
    runToTick(1000);
    assertThat(line.risingEdges).isEqualTo(1);
    out(0x40, 50, 0);
    assertThat(line.asserted).as("a new count starts anew").isFalse();
    runToTick(1050);
    assertThat(line.risingEdges).isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource({
    // control word, count, ticks later, value read
    "0x30, 1000, 0, 1000",
    "0x30, 1000, 400, 600",
    "0x30, 1000, 1000, 0",
    "0x30, 1000, 1001, 65535",
    "0x34, 1000, 400, 600",
    "0x34, 1000, 999, 1",
    "0x34, 1000, 1000, 1000",
    "0x34, 0, 1, 65535",
    "0x36, 1000, 100, 800",
    "0x36, 1000, 500, 1000",
    "0x38, 10, 3, 7",
    "0x31, 0x1000, 1, 0x0999",
    "0x35, 0x0100, 1, 0x0099",
  })
  void latchedCountFollowsTheMode(String control, String count, long ticks, String value) {
    int raw = Integer.decode(count);
    out(0x43, Integer.decode(control));
    out(0x40, raw & 0xFF, raw >> 8);
    runToTick(ticks);
    out(0x43, 0x00);
    runToTick(ticks + 50);
    assertThat(word(0x40)).isEqualTo(Integer.decode(value));
  }

  @Test
  void latchHoldsUntilReadAndThenFollowsAgain() {
    out(0x43, 0x34);
    out(0x40, 0, 0);
    runToTick(10);
    out(0x43, 0x00);
    runToTick(20);
    out(0x43, 0x00);
    assertThat(word(0x40)).isEqualTo(65526);
    assertThat(word(0x40)).isEqualTo(65516);
  }

  @Test
  void readBackGivesStatusThenCount() {
    out(0x43, 0x34);
    out(0x43, 0xE2);
    assertThat(in(0x40)).as("null count, output high").isEqualTo(0xF4);
    out(0x40, 0x10, 0x27);
    runToTick(5);
    out(0x43, 0xC2);
    assertThat(in(0x40)).isEqualTo(0xB4);
    assertThat(word(0x40)).isEqualTo(9995);
  }

  @ParameterizedTest
  @CsvSource({"0x14, 0x80, 0x7B", "0x24, 0x80, 0x7F"})
  void singleByteAccessReadsAndWritesThatByte(String control, String count, String later) {
    out(0x43, Integer.decode(control));
    out(0x40, Integer.decode(count));
    runToTick(5);
    assertThat(in(0x40)).isEqualTo(Integer.decode(later));
    assertThat(in(0x40)).isEqualTo(Integer.decode(later));
  }

  /** Linux' quick calibration: channel 2 in mode 0 from FFFFh, reading its high byte. */
  @Test
  void quickCalibrationSeesTheHighByteStepEvery256Ticks() {
    out(0x61, in(0x61) & ~2 | 1);
    out(0x43, 0xB0);
    out(0x42, 0xFF, 0xFF);
    for (int high = 0xFF; high > 0xF0; high--) {
      runToTick((0xFF - high) * 256L);
      in(0x42);
      assertThat(in(0x42)).isEqualTo(high);
    }
  }

  @Test
  void gateOfChannel2PausesTerminalCountAndPort61ShowsItsOutput() {
    out(0x61, 0);
    out(0x43, 0xB0);
    out(0x42, 100, 0);
    runToTick(1000);
    assertThat(in(0x61) & 0x20).as("the gate is shut").isZero();
    out(0x61, 1);
    runToTick(1060);
    out(0x61, 0);
    runToTick(2000);
    assertThat(word(0x42)).isEqualTo(40);
    out(0x61, 1);
    runToTick(2039);
    assertThat(in(0x61) & 0x21).isEqualTo(0x01);
    runToTick(2040);
    assertThat(in(0x61) & 0x21).isEqualTo(0x21);
  }

  @Test
  void oneShotIsTriggeredByItsGate() {
    out(0x61, 0);
    out(0x43, 0xB2);
    out(0x42, 50, 0);
    assertThat(in(0x61) & 0x20).isEqualTo(0x20);
    runToTick(100);
    out(0x61, 1);
    assertThat(in(0x61) & 0x20).isZero();
    runToTick(150);
    assertThat(in(0x61) & 0x20).isEqualTo(0x20);
  }

  @ParameterizedTest
  @ValueSource(ints = {15, 45, 75})
  void refreshBitToggles(int microseconds) {
    clock.now = microseconds * 1000L;
    int first = in(0x61) & 0x10;
    clock.now += 15_085;
    assertThat(in(0x61) & 0x10).isNotEqualTo(first);
  }
}
