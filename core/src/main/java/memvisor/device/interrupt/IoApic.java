package memvisor.device.interrupt;

import memvisor.device.InterruptLine;
import memvisor.device.MmioDevice;

/**
 * The I/O APIC: 24 pins, version 20h (with an EOI register), at {@link #DEFAULT_GPA}.
 *
 * <p>82093AA data sheet 3.0 and ICH9 data sheet 13.5. A redirection entry is
 *
 * <pre>
 *  63   56        16 15 14 13 12 11 10  8 7      0
 * | dest | ....... | M| T| R| P| S| L| mode | vector |
 * </pre>
 *
 * M mask, T level-triggered, R remote IRR, P active low, S delivery status, L logical destination.
 * The polarity is stored but a pin's level is "asserted", never a voltage.
 */
public final class IoApic implements MmioDevice {
  /** Where a PC has it. */
  public static final long DEFAULT_GPA = 0xFEC0_0000L;

  /** The size of its window. */
  public static final long WINDOW_BYTES = 0x1000;

  /** The number of pins, and so of redirection entries. */
  public static final int PIN_COUNT = 24;

  private static final int IOREGSEL = 0x00;
  private static final int IOWIN = 0x10;
  private static final int EOI = 0x40;
  private static final int ID_INDEX = 0x00;
  private static final int VERSION_INDEX = 0x01;
  private static final int ARBITRATION_INDEX = 0x02;
  private static final int REDIRECTION_INDEX = 0x10;
  private static final int VERSION = 0x20 | PIN_COUNT - 1 << 16;

  private static final long DELIVERY_STATUS = 1 << 12;
  private static final long REMOTE_IRR = 1 << 14;
  private static final long LEVEL_TRIGGERED = 1 << 15;
  private static final long MASKED = 1 << 16;
  private static final long LOGICAL = 1 << 11;
  private static final long WRITABLE = 0xFF00_0000_0001_FFFFL & ~(DELIVERY_STATUS | REMOTE_IRR);

  private final ApicBus bus;
  private final long[] redirection = new long[PIN_COUNT];
  private int asserted;
  private int id;
  private int select;

  /** An I/O APIC after reset: every pin masked. */
  public IoApic(int id, ApicBus bus) {
    this.id = id;
    this.bus = bus;
    java.util.Arrays.fill(redirection, MASKED);
    bus.onEndOfInterrupt(this::endOfInterrupt);
  }

  /** The wire into a pin, 0 to 23 (the global system interrupt, if this is the only I/O APIC). */
  public InterruptLine pin(int pin) {
    if (pin < 0 || pin >= PIN_COUNT) {
      throw new IllegalArgumentException("pin=%d is not in 0..%d".formatted(pin, PIN_COUNT - 1));
    }
    return level -> setPin(pin, level);
  }

  /** The redirection entry of a pin, for listings. */
  public long redirectionEntry(int pin) {
    return redirection[pin];
  }

  @Override
  public long read(long offset, int sizeBytes) {
    return switch ((int) offset & ~3) {
      case IOREGSEL -> select;
      case IOWIN -> Integer.toUnsignedLong(readSelected());
      default -> 0;
    };
  }

  @Override
  public void write(long offset, int sizeBytes, long value) {
    switch ((int) offset) {
      case IOREGSEL -> select = (int) value & 0xFF;
      case IOWIN -> writeSelected((int) value);
      case EOI -> endOfInterrupt((int) value & 0xFF);
      default -> {}
    }
  }

  private int readSelected() {
    int pin = select - REDIRECTION_INDEX >> 1;
    if (select >= REDIRECTION_INDEX && pin < PIN_COUNT) {
      return (int) (redirection[pin] >>> (select & 1) * 32);
    }
    return switch (select) {
      case ID_INDEX, ARBITRATION_INDEX -> id << 24;
      case VERSION_INDEX -> VERSION;
      default -> 0;
    };
  }

  private void writeSelected(int value) {
    int pin = select - REDIRECTION_INDEX >> 1;
    if (select >= REDIRECTION_INDEX && pin < PIN_COUNT) {
      writeRedirection(pin, (select & 1) * 32, value);
    } else if (select == ID_INDEX) {
      id = value >>> 24 & 0xF;
    }
  }

  private void writeRedirection(int pin, int shift, int value) {
    long half = 0xFFFF_FFFFL << shift;
    long written = Integer.toUnsignedLong(value) << shift;
    long writable = half & WRITABLE;
    long entry = redirection[pin] & ~writable | written & writable;
    if ((entry & LEVEL_TRIGGERED) == 0) {
      // Turning a pin to edge and back is how software without the EOI register clears it.
      entry &= ~REMOTE_IRR;
    }
    redirection[pin] = entry;
    deliverLevel(pin);
  }

  private void setPin(int pin, boolean level) {
    int bit = 1 << pin;
    boolean rising = level && (asserted & bit) == 0;
    asserted = level ? asserted | bit : asserted & ~bit;
    long entry = redirection[pin];
    if ((entry & LEVEL_TRIGGERED) != 0) {
      deliverLevel(pin);
    } else if (rising && (entry & MASKED) == 0) {
      // 82093AA 3.2.4: an edge on a masked pin is lost.
      send(entry);
    }
  }

  private void deliverLevel(int pin) {
    long entry = redirection[pin];
    boolean idle = (entry & (LEVEL_TRIGGERED | REMOTE_IRR | MASKED)) == LEVEL_TRIGGERED;
    if (idle && (asserted & 1 << pin) != 0 && send(entry)) {
      redirection[pin] |= REMOTE_IRR;
    }
  }

  private boolean send(long entry) {
    return bus.deliver(
        (int) (entry >>> 56),
        (entry & LOGICAL) != 0,
        (int) entry >>> 8 & 7,
        (int) entry & 0xFF,
        (entry & LEVEL_TRIGGERED) != 0);
  }

  private void endOfInterrupt(int vector) {
    for (int pin = 0; pin < PIN_COUNT; pin++) {
      long entry = redirection[pin];
      if ((entry & REMOTE_IRR) != 0 && (entry & 0xFF) == vector) {
        redirection[pin] = entry & ~REMOTE_IRR;
        deliverLevel(pin);
      }
    }
  }
}
