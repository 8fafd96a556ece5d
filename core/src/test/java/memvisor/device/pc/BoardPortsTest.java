package memvisor.device.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import memvisor.device.PortBus;
import memvisor.device.RecordingPower;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BoardPortsTest {
  private final RecordingPower power = new RecordingPower();
  private final StringBuilder console = new StringBuilder();
  private final List<String> configuration = new ArrayList<>();
  private final PortBus bus = new PortBus();

  @BeforeEach
  void wire() {
    DebugPorts debug = new DebugPorts(value -> console.append((char) value), power);
    bus.add("console", DebugPorts.CONSOLE_PORT, 1, debug);
    bus.add("exit", DebugPorts.EXIT_PORT, DebugPorts.EXIT_PORT_COUNT, debug);
    SystemReset reset = new SystemReset(power);
    bus.add("port92", SystemReset.CONTROL_A_PORT, 1, reset);
    bus.add("i8042", SystemReset.KEYBOARD_COMMAND_PORT, 1, reset);
    PciConfigurationSpace space =
        new PciConfigurationSpace() {
          @Override
          public int read(int address, int sizeBytes) {
            configuration.add("r %x/%d".formatted(address, sizeBytes));
            return 0x12345678;
          }

          @Override
          public void write(int address, int sizeBytes, int value) {
            configuration.add("w %x/%d=%x".formatted(address, sizeBytes, value));
          }
        };
    bus.add(
        "pci",
        PciConfigurationPorts.FIRST_PORT,
        PciConfigurationPorts.PORT_COUNT,
        new PciConfigurationPorts(space, power));
  }

  @ParameterizedTest
  @CsvSource({
    "0xF4, 1, 0x10, exit 16",
    "0xF4, 4, 0x12345678, exit 305419896",
    "0xF4, 2, 0, exit 0",
    "0x92, 1, 0x01, reset",
    "0x92, 1, 0x02,",
    "0x64, 1, 0xFE, reset",
    "0x64, 1, 0xD1,",
    "0xCF9, 1, 0x06, reset",
    "0xCF9, 1, 0x0E, reset",
    "0xCF9, 1, 0x02,",
  })
  void writesThatEndTheRun(String port, int sizeBytes, String value, String event) {
    bus.write(Integer.decode(port), sizeBytes, Integer.decode(value));
    assertThat(power.events).isEqualTo(event == null ? List.of() : List.of(event));
  }

  @Test
  void debugConsoleIdentifiesItselfAndTakesBytes() {
    assertThat(bus.read(0xE9, 1)).isEqualTo(0xE9);
    bus.write(0xE9, 1, 'o');
    bus.write(0xE9, 1, 'k');
    assertThat(console).hasToString("ok");
  }

  @Test
  void keyboardStatusNeverMakesAResetWait() {
    assertThat(bus.read(0x64, 1)).isZero();
    assertThat(bus.read(0x92, 1)).as("A20 is open").isEqualTo(2);
  }

  /** Linux' probe: what is written to CONFIG_ADDRESS comes back, but only as 32 bits. */
  @Test
  void configurationAddressReadsBackAsDoublewordOnly() {
    bus.write(0xCF8, 4, 0x8000_0000);
    assertThat(bus.read(0xCF8, 4)).isEqualTo(0x8000_0000);
    bus.write(0xCF8, 1, 0);
    bus.write(0xCFB, 1, 0x01);
    assertThat(bus.read(0xCF8, 4)).isEqualTo(0x8000_0000);
    assertThat(bus.read(0xCF8, 1)).as("mechanism 2 is absent").isEqualTo(0xFF);
    bus.write(0xCF8, 4, -1);
    assertThat(bus.read(0xCF8, 4)).isEqualTo(0x80FF_FFFC);
  }

  @Test
  void dataPortsReachTheAddressedRegisterAtAnyWidth() {
    assertThat(bus.read(0xCFC, 4)).as("not enabled").isEqualTo(-1);
    bus.write(0xCF8, 4, 0x8001_1008);
    assertThat(bus.read(0xCFC, 4)).isEqualTo(0x12345678);
    assertThat(bus.read(0xCFE, 2)).isEqualTo(0x5678);
    assertThat(bus.read(0xCFF, 1)).isEqualTo(0x78);
    bus.write(0xCFD, 1, 0xAB);
    assertThat(configuration)
        .containsExactly("r 11008/4", "r 1100a/2", "r 1100b/1", "w 11009/1=ab");
  }

  @Test
  void machineWithoutPciReadsAsAllOnes() {
    PortBus other = new PortBus();
    other.add("pci", 0xCF8, 8, new PciConfigurationPorts(PciConfigurationSpace.EMPTY, power));
    other.write(0xCF8, 4, 0x8000_0000);
    assertThat(other.read(0xCFC, 4)).isEqualTo(-1);
    assertThat(other.read(0xCFC, 2)).isEqualTo(0xFFFF);
  }
}
