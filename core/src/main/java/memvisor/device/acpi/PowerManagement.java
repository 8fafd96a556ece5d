package memvisor.device.acpi;

import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.PortDevice;
import memvisor.device.PowerEvents;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * ACPI fixed hardware at ports 600h to 611h: PM1a event and control blocks, the power-management
 * timer, and the sleep registers of the hardware-reduced model; ACPI 6.4, 4.8.3 and 4.8.3.7.
 *
 * <p>There is no SMI command port: the machine is always in ACPI mode.
 */
public final class PowerManagement implements PortDevice, TimedDevice {
  /** Its first port. */
  public static final int FIRST_PORT = 0x600;

  /** The number of its ports. */
  public static final int PORT_COUNT = 0x12;

  /** The ISA interrupt of the system control interrupt, level-triggered. */
  public static final int SCI_IRQ = 9;

  static final int EVENT_PORT = 0x600;
  static final int EVENT_BYTES = 4;
  static final int CONTROL_PORT = 0x604;
  static final int CONTROL_BYTES = 2;
  static final int TIMER_PORT = 0x608;
  static final int SLEEP_CONTROL_PORT = 0x610;
  static final int SLEEP_STATUS_PORT = 0x611;
  static final int RESET_PORT = 0xCF9;
  static final int RESET_VALUE = 6;

  /** SLP_TYP of S5, as the DSDT's _S5 says. */
  static final int S5_SLEEP_TYPE = 5;

  private static final Frequency TIMER = new Frequency(3_579_545);
  private static final int TIMER_BITS = 24;
  private static final int TIMER_STATUS = 1;
  private static final int POWER_BUTTON_STATUS = 1 << 8;
  private static final int WAKE_STATUS = 1 << 15;
  private static final int GLOBAL_STATUS = 1 << 5;
  private static final int STATUS_BITS = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON_STATUS;

  /** RTC_EN exists although the alarm raises IRQ 8 only: a kernel writes it and reads it back. */
  private static final int RTC_ENABLE = 1 << 10;

  private static final int ENABLE_BITS = STATUS_BITS | RTC_ENABLE;
  private static final int SCI_ENABLE = 1;
  private static final int SLEEP_ENABLE = 1 << 13;
  private static final int REDUCED_SLEEP_ENABLE = 1 << 5;

  private final VmClock clock;
  private final InterruptLine sci;
  private final PowerEvents events;
  private int status;
  private int enable;
  private int control = SCI_ENABLE;
  private long seenHalfPeriods;

  /** Fixed hardware with nothing enabled. */
  public PowerManagement(VmClock clock, InterruptLine sci, PowerEvents events) {
    this.clock = clock;
    this.sci = sci;
    this.events = events;
    this.seenHalfPeriods = halfPeriods(clock.nanos());
  }

  /** The user presses the power button: asks the guest, by SCI, to shut down. */
  public void pressPowerButton() {
    status |= POWER_BUTTON_STATUS;
    update();
  }

  // Registers

  @Override
  public int widthBytes() {
    return 4;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    advance(clock.nanos());
    int value = 0;
    for (int i = 0; i < sizeBytes; i++) {
      value |= readByte(port + i) << 8 * i;
    }
    return value;
  }

  private int readByte(int port) {
    int shift = 8 * (port & 1);
    return switch (port) {
      case EVENT_PORT, EVENT_PORT + 1 -> status >> shift & 0xFF;
      case EVENT_PORT + 2, EVENT_PORT + 3 -> enable >> shift & 0xFF;
      case CONTROL_PORT, CONTROL_PORT + 1 -> control >> shift & 0xFF;
      case TIMER_PORT, TIMER_PORT + 1, TIMER_PORT + 2 ->
          (int) (TIMER.ticksAt(clock.nanos()) >> 8 * (port - TIMER_PORT)) & 0xFF;
      default -> 0;
    };
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    advance(clock.nanos());
    int oldControl = control;
    for (int i = 0; i < sizeBytes; i++) {
      writeByte(port + i, value >>> 8 * i & 0xFF);
    }
    update();
    boolean sleep = ((control | oldControl) & SLEEP_ENABLE) != 0;
    control &= ~SLEEP_ENABLE;
    if (sleep) {
      sleep(control >> 10 & 7);
    }
  }

  private void writeByte(int port, int value) {
    int shift = 8 * (port & 1);
    int kept = ~(0xFF << shift);
    switch (port) {
      case EVENT_PORT, EVENT_PORT + 1 -> status &= ~(value << shift);
      case EVENT_PORT + 2, EVENT_PORT + 3 ->
          enable = (enable & kept | value << shift) & ENABLE_BITS;
      case CONTROL_PORT, CONTROL_PORT + 1 -> control = control & kept | value << shift | SCI_ENABLE;
      case SLEEP_CONTROL_PORT -> {
        if ((value & REDUCED_SLEEP_ENABLE) != 0) {
          sleep(value >> 2 & 7);
        }
      }
      default -> {}
    }
  }

  /** Only S5 is offered; another sleep type wakes at once. */
  private void sleep(int sleepType) {
    if (sleepType == S5_SLEEP_TYPE) {
      events.powerOff();
    } else {
      status |= WAKE_STATUS;
    }
  }

  // Time

  @Override
  public long nextDeadlineNanos() {
    boolean waiting = (enable & ~status & TIMER_STATUS) != 0;
    return waiting ? TIMER.nanosAt(seenHalfPeriods + 1 << TIMER_BITS - 1) : NEVER;
  }

  /** TMR_STS is set whenever the timer's top bit changes. */
  @Override
  public void advance(long nowNanos) {
    long halfPeriods = halfPeriods(nowNanos);
    if (halfPeriods != seenHalfPeriods) {
      seenHalfPeriods = halfPeriods;
      status |= TIMER_STATUS;
      update();
    }
  }

  private static long halfPeriods(long nanos) {
    return TIMER.ticksAt(nanos) >> TIMER_BITS - 1;
  }

  private void update() {
    sci.set((status & enable & STATUS_BITS) != 0);
  }
}
