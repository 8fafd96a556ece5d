package memvisor.device.pc;

import memvisor.device.PortDevice;
import memvisor.device.PowerEvents;

/**
 * The PC's ways to reset that are single ports: system control port A (92h bit 0) and the keyboard
 * controller's command FEh (64h).
 *
 * <p>There is no keyboard controller; its status reads as 0, "ready for a command, nothing to
 * read", so that a kernel that resets through it does not wait.
 */
public final class SystemReset implements PortDevice {
  /** System control port A. */
  public static final int CONTROL_A_PORT = 0x92;

  /** The keyboard controller's command and status port. */
  public static final int KEYBOARD_COMMAND_PORT = 0x64;

  private static final int CONTROL_A_RESET = 1;
  private static final int CONTROL_A_A20 = 2;
  private static final int PULSE_RESET = 0xFE;

  private final PowerEvents events;

  /** Tells {@code events} of resets. */
  public SystemReset(PowerEvents events) {
    this.events = events;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    // The A20 gate is always open.
    return port == CONTROL_A_PORT ? CONTROL_A_A20 : 0;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    boolean reset = port == CONTROL_A_PORT ? (value & CONTROL_A_RESET) != 0 : value == PULSE_RESET;
    if (reset) {
      events.reset();
    }
  }
}
