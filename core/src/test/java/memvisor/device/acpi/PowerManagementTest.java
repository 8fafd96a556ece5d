package memvisor.device.acpi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import memvisor.device.FakeClock;
import memvisor.device.RecordingLine;
import memvisor.device.RecordingPower;
import memvisor.device.TimedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PowerManagementTest {
  private final FakeClock clock = new FakeClock();
  private final RecordingLine sci = new RecordingLine();
  private final RecordingPower power = new RecordingPower();
  private final PowerManagement pm = new PowerManagement(clock, sci, power);

  @ParameterizedTest
  @CsvSource({
    // SLP_TYP 5 with SLP_EN is S5; the sleep control register has its own layout
    "0x604, 2, 0x3401, power off",
    "0x605, 1, 0x34, power off",
    "0x604, 2, 0x1401,",
    "0x604, 2, 0x2001,",
    "0x610, 1, 0x34, power off",
    "0x610, 1, 0x14,",
    "0x610, 1, 0x20,",
  })
  void onlySleepTypeFiveSwitchesOff(String port, int sizeBytes, String value, String event) {
    pm.writePort(Integer.decode(port), sizeBytes, Integer.decode(value));
    assertThat(power.events).isEqualTo(event == null ? List.of() : List.of(event));
  }

  @Test
  void controlKeepsAcpiModeAndHidesSleepEnable() {
    assertThat(pm.readPort(0x604, 2)).isEqualTo(1);
    pm.writePort(0x604, 2, 0x3400);
    assertThat(pm.readPort(0x604, 2)).isEqualTo(0x1401);
  }

  @ParameterizedTest
  @CsvSource({"0x0001", "0x0020", "0x0100", "0x0400"})
  void anEnableBitThatAKernelSetsReadsBack(String bit) {
    pm.writePort(0x602, 2, Integer.decode(bit));
    assertThat(pm.readPort(0x602, 2)).isEqualTo(Integer.decode(bit));
  }

  @Test
  void timerRunsAt3579545HzIn24Bits() {
    clock.now = 1_000_000_000L;
    assertThat(pm.readPort(0x608, 4)).isEqualTo(3_579_545);
    clock.now = 10_000_000_000L;
    assertThat(pm.readPort(0x608, 4)).isEqualTo(35_795_450 % (1 << 24));
  }

  @Test
  void powerButtonAssertsTheControlInterruptUntilItsStatusIsCleared() {
    pm.pressPowerButton();
    assertThat(sci.asserted).as("not enabled").isFalse();
    pm.writePort(0x602, 2, 0x100);
    assertThat(sci.asserted).isTrue();
    assertThat(pm.readPort(0x600, 2)).isEqualTo(0x100);
    pm.writePort(0x600, 2, 0x001);
    assertThat(sci.asserted).as("only ones clear").isTrue();
    pm.writePort(0x600, 2, 0x100);
    assertThat(sci.asserted).isFalse();
    assertThat(pm.readPort(0x602, 2)).isEqualTo(0x100);
  }

  @Test
  void timerStatusIsSetWhenTheTopBitChanges() {
    assertThat(pm.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
    pm.writePort(0x602, 2, 1);
    long half = pm.nextDeadlineNanos();
    clock.runTo(half - 1, pm);
    assertThat(sci.asserted).isFalse();
    assertThat(pm.readPort(0x60A, 1)).isEqualTo(0x7F);
    clock.runTo(half, pm);
    assertThat(sci.asserted).isTrue();
    assertThat(pm.readPort(0x60A, 1)).isEqualTo(0x80);
    pm.writePort(0x600, 2, 1);
    assertThat(sci.asserted).isFalse();
    clock.runTo(3 * half, pm);
    assertThat(sci.asserted).isTrue();
  }
}
