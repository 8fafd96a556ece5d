package memvisor.device.pc;

import memvisor.device.PortDevice;
import memvisor.device.PowerEvents;

/**
 * Ports CF8h to CFFh: PCI configuration mechanism 1, and the reset control register at CF9h in its
 * middle. PCI Local Bus 3.0, 3.2.2.3.2; ICH9 data sheet 13.7.5.
 */
public final class PciConfigurationPorts implements PortDevice {
  /** CONFIG_ADDRESS. */
  public static final int FIRST_PORT = 0xCF8;

  /** The number of its ports. */
  public static final int PORT_COUNT = 8;

  /** The reset control register; only byte accesses reach it. */
  public static final int RESET_PORT = 0xCF9;

  private static final int DATA_PORT = 0xCFC;
  private static final int ENABLE = 1 << 31;
  private static final int ADDRESS_WRITABLE = ENABLE | 0xFF_FFFC;
  private static final int FUNCTION_AND_REGISTER = 0xFF_FFFC;
  private static final int RESET_CPU = 4;
  private static final int RESET_WRITABLE = 0xA;

  private final PciConfigurationSpace space;
  private final PowerEvents events;
  private int address;
  private int resetControl;

  /** Ports in front of {@code space}; resets go to {@code events}. */
  public PciConfigurationPorts(PciConfigurationSpace space, PowerEvents events) {
    this.space = space;
    this.events = events;
  }

  @Override
  public int widthBytes() {
    return 4;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    if (port >= DATA_PORT) {
      return enabled() ? space.read(dataAddress(port), sizeBytes) : -1;
    }
    if (port == FIRST_PORT && sizeBytes == 4) {
      return address;
    }
    // Narrower accesses to CONFIG_ADDRESS pass through to the ISA bus, where only CF9h answers.
    return port == RESET_PORT && sizeBytes == 1 ? resetControl : -1;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    if (port >= DATA_PORT) {
      if (enabled()) {
        space.write(dataAddress(port), sizeBytes, value);
      }
    } else if (port == FIRST_PORT && sizeBytes == 4) {
      address = value & ADDRESS_WRITABLE;
    } else if (port == RESET_PORT && sizeBytes == 1) {
      writeReset(value);
    }
  }

  /** Bit 2 rising resets; which kind bit 1 selects makes no difference here. */
  private void writeReset(int value) {
    boolean reset = (value & ~resetControl & RESET_CPU) != 0;
    resetControl = value & RESET_WRITABLE;
    if (reset) {
      events.reset();
    }
  }

  private boolean enabled() {
    return (address & ENABLE) != 0;
  }

  private int dataAddress(int port) {
    return address & FUNCTION_AND_REGISTER | port & 3;
  }
}
