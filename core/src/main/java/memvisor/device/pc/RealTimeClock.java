package memvisor.device.pc;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.PortDevice;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * The real-time clock and its CMOS memory at ports 70h and 71h: MC146818A, 128 bytes.
 *
 * <p>The date is the base date plus the VM's clock, so a run with a virtual clock sees the same
 * dates each time. An update takes no time: UIP is never seen set.
 */
public final class RealTimeClock implements PortDevice, TimedDevice {
  /** Its first port: the index register. */
  public static final int FIRST_PORT = 0x70;

  /** The number of its ports. */
  public static final int PORT_COUNT = 2;

  /** Its ISA interrupt. */
  public static final int IRQ = 8;

  /** The CMOS byte that holds the century, as the FADT says. */
  public static final int CENTURY_INDEX = 0x32;

  private static final long NANOS_PER_SECOND = 1_000_000_000L;
  private static final Frequency CRYSTAL = new Frequency(32_768);
  private static final int REGISTER_A = 0x0A;
  private static final int REGISTER_B = 0x0B;
  private static final int REGISTER_C = 0x0C;
  private static final int REGISTER_D = 0x0D;
  private static final int B_SET = 0x80;
  private static final int B_24_HOURS = 2;
  private static final int PERIODIC = 0x40;
  private static final int ALARM = 0x20;
  private static final int UPDATE_ENDED = 0x10;
  private static final int SOURCES = PERIODIC | ALARM | UPDATE_ENDED;
  private static final int INTERRUPT_REQUEST = 0x80;
  private static final int D_VALID = 0x80;
  private static final int ALARM_ANY = 0xC0;

  private final VmClock clock;
  private final InterruptLine interrupt;
  private final byte[] cmos = new byte[128];
  private int index;

  /** What to add to the VM's clock in seconds to get the guest's idea of 1970-based time. */
  private long secondsOffset;

  private long seenNanos;

  /**
   * A clock that shows {@code baseDate} when the VM's clock is zero.
   *
   * @param baseDate UTC; fractions of a second are dropped
   * @param memoryBytes the VM's memory, told to the guest in the CMOS size bytes
   */
  public RealTimeClock(VmClock clock, InterruptLine interrupt, Instant baseDate, long memoryBytes) {
    this.clock = clock;
    this.interrupt = interrupt;
    this.secondsOffset = baseDate.getEpochSecond();
    this.seenNanos = clock.nanos();
    // Divider on, 1024 Hz periodic rate: what firmware sets.
    cmos[REGISTER_A] = 0x26;
    cmos[REGISTER_B] = B_24_HOURS;
    setMemorySize(memoryBytes);
  }

  private void setMemorySize(long memoryBytes) {
    long fourGib = 1L << 32;
    long kib = 1024;
    long low = Math.min(memoryBytes, 0xC000_0000L);
    setWord(0x15, 640);
    long extendedKib = Math.clamp(low / kib - 1024, 0, 0xFFFF);
    setWord(0x17, extendedKib);
    setWord(0x30, extendedKib);
    setWord(0x34, Math.clamp((low - 16 * kib * kib) / (64 * kib), 0, 0xFFFF));
    long above = Math.clamp(memoryBytes - low, 0, fourGib * 256) / (64 * kib);
    setWord(0x5B, above & 0xFFFF);
    cmos[0x5D] = (byte) (above >> 16);
  }

  private void setWord(int at, long value) {
    cmos[at] = (byte) value;
    cmos[at + 1] = (byte) (value >> 8);
  }

  // Registers

  @Override
  public int readPort(int port, int sizeBytes) {
    // The index register cannot be read back on a PC.
    return port == FIRST_PORT ? 0xFF : readRegister();
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    if (port == FIRST_PORT) {
      // Bit 7 masks NMI on a PC; no device here raises one.
      index = value & 0x7F;
    } else {
      writeRegister(value);
    }
  }

  private int readRegister() {
    advance(clock.nanos());
    if (CalendarRegisters.contains(index)) {
      refreshDate();
    }
    return switch (index) {
      case REGISTER_C -> {
        int flags = cmos[REGISTER_C] & 0xFF;
        cmos[REGISTER_C] = 0;
        interrupt.lower();
        yield flags;
      }
      case REGISTER_D -> D_VALID;
      default -> cmos[index] & 0xFF;
    };
  }

  private void writeRegister(int value) {
    advance(clock.nanos());
    switch (index) {
      case REGISTER_A -> cmos[REGISTER_A] = (byte) (value & 0x7F);
      case REGISTER_B -> writeRegisterB(value);
      case REGISTER_C, REGISTER_D -> {}
      default -> {
        if (CalendarRegisters.contains(index)) {
          writeDate(value);
        } else {
          cmos[index] = (byte) value;
        }
      }
    }
  }

  private void writeRegisterB(int value) {
    refreshDate();
    boolean wasStopped = stopped();
    // SET also clears the update-ended enable: MC146818A, register B.
    cmos[REGISTER_B] = (byte) ((value & B_SET) != 0 ? value & ~UPDATE_ENDED : value);
    if (wasStopped && !stopped()) {
      adoptDate();
    }
    updateInterrupt();
  }

  // Date

  private void writeDate(int value) {
    refreshDate();
    cmos[index] = (byte) value;
    if (!stopped()) {
      adoptDate();
    }
  }

  /** Shows the date in the registers, unless SET has made them plain memory. */
  private void refreshDate() {
    if (!stopped()) {
      CalendarRegisters.store(dateAt(seconds(clock.nanos())), cmos, cmos[REGISTER_B]);
    }
  }

  /** Goes on from the date in the registers. */
  private void adoptDate() {
    long date = CalendarRegisters.load(cmos, cmos[REGISTER_B]).toEpochSecond(ZoneOffset.UTC);
    secondsOffset = date - seconds(clock.nanos());
  }

  private LocalDateTime dateAt(long second) {
    return LocalDateTime.ofEpochSecond(second + secondsOffset, 0, ZoneOffset.UTC);
  }

  private static long seconds(long nanos) {
    return nanos / NANOS_PER_SECOND;
  }

  private boolean stopped() {
    return (cmos[REGISTER_B] & B_SET) != 0;
  }

  // Time

  @Override
  public long nextDeadlineNanos() {
    long deadline = NEVER;
    int enabled = cmos[REGISTER_B] & ~cmos[REGISTER_C];
    if ((enabled & PERIODIC) != 0 && periodTicks() != 0) {
      deadline = CRYSTAL.nanosAt((CRYSTAL.ticksAt(seenNanos) / periodTicks() + 1) * periodTicks());
    }
    if ((enabled & (ALARM | UPDATE_ENDED)) != 0 && !stopped()) {
      deadline = Math.min(deadline, (seconds(seenNanos) + 1) * NANOS_PER_SECOND);
    }
    return deadline;
  }

  @Override
  public void advance(long nowNanos) {
    if (nowNanos <= seenNanos) {
      return;
    }
    long period = periodTicks();
    if (period != 0 && CRYSTAL.ticksAt(seenNanos) / period != CRYSTAL.ticksAt(nowNanos) / period) {
      cmos[REGISTER_C] |= PERIODIC;
    }
    long from = seconds(seenNanos);
    long to = seconds(nowNanos);
    if (from != to && !stopped()) {
      cmos[REGISTER_C] |= UPDATE_ENDED;
      if (alarmBetween(from + 1, to)) {
        cmos[REGISTER_C] |= ALARM;
      }
    }
    seenNanos = nowNanos;
    updateInterrupt();
  }

  /** The periodic interrupt's period in ticks of the 32.768 kHz crystal; 0 if off. */
  private long periodTicks() {
    int rate = cmos[REGISTER_A] & 0xF;
    if (rate == 0) {
      return 0;
    }
    // MC146818A table 3: the two fastest settings repeat 256 Hz and 128 Hz.
    return 1L << (rate <= 2 ? rate + 6 : rate - 1);
  }

  private boolean alarmBetween(long fromSecond, long toSecond) {
    long secondsPerDay = 86_400;
    long last = Math.min(toSecond, fromSecond + secondsPerDay - 1);
    byte[] shown = new byte[cmos.length];
    for (long second = fromSecond; second <= last; second++) {
      CalendarRegisters.store(dateAt(second), shown, cmos[REGISTER_B]);
      if (alarmMatches(CalendarRegisters.SECONDS, shown)
          && alarmMatches(CalendarRegisters.MINUTES, shown)
          && alarmMatches(CalendarRegisters.HOURS, shown)) {
        return true;
      }
    }
    return false;
  }

  /** The alarm of a register is in the next one; its top two bits set mean "any". */
  private boolean alarmMatches(int register, byte[] shown) {
    int alarm = cmos[register + 1];
    return (alarm & ALARM_ANY) == ALARM_ANY || alarm == shown[register];
  }

  private void updateInterrupt() {
    boolean asserted = (cmos[REGISTER_B] & cmos[REGISTER_C] & SOURCES) != 0;
    if (asserted) {
      cmos[REGISTER_C] |= (byte) INTERRUPT_REQUEST;
    }
    interrupt.set(asserted);
  }
}
