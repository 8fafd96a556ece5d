package memvisor.device.pc;

import memvisor.device.ByteSink;
import memvisor.device.PortDevice;
import memvisor.device.PowerEvents;

/**
 * The debug ports of emulators: a console at E9h (Bochs) that reads as E9h to say it is there, and
 * an exit port at F4h (QEMU's isa-debug-exit).
 */
public final class DebugPorts implements PortDevice {
  /** The debug console. */
  public static final int CONSOLE_PORT = 0xE9;

  /** The first of the exit port's four ports. */
  public static final int EXIT_PORT = 0xF4;

  /** The number of the exit port's ports. */
  public static final int EXIT_PORT_COUNT = 4;

  private static final int CONSOLE_PRESENT = 0xE9;

  private final ByteSink console;
  private final PowerEvents events;

  /** Console bytes go to {@code console}, exits to {@code events}. */
  public DebugPorts(ByteSink console, PowerEvents events) {
    this.console = console;
    this.events = events;
  }

  @Override
  public int widthBytes() {
    return 4;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return port == CONSOLE_PORT ? CONSOLE_PRESENT : 0;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    if (port == CONSOLE_PORT) {
      console.accept(value & 0xFF);
    } else {
      events.debugExit(value);
    }
  }
}
