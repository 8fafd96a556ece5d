package memvisor.device.interrupt;

import memvisor.device.InterruptLine;
import memvisor.device.PortDevice;

/**
 * The PC's two cascaded 8259A at 20h and A0h, with their edge/level control registers at 4D0h.
 *
 * <p>It is one device on three port ranges: {@code 20h-21h}, {@code A0h-A1h}, {@code 4D0h-4D1h}.
 */
public final class PicPair implements PortDevice {
  /** The master's two ports. */
  public static final int MASTER_PORT = 0x20;

  /** The slave's two ports. */
  public static final int SLAVE_PORT = 0xA0;

  /** The two edge/level control registers. */
  public static final int ELCR_PORT = 0x4D0;

  private static final int CASCADE_INPUT = 2;

  private final Pic8259 master;
  private final Pic8259 slave;

  private InterruptLine request = InterruptLine.UNCONNECTED;

  /** A pair before initialization, its request wire not yet connected. */
  public PicPair() {
    master = new Pic8259(true, 0xF8, asserted -> request.set(asserted));
    slave = new Pic8259(false, 0xDE, asserted -> master.setInput(CASCADE_INPUT, asserted));
  }

  /** Connects the request wire: to LINT0 of the bootstrap processor. */
  public void connect(InterruptLine interruptRequest) {
    request = interruptRequest;
  }

  /** The wire into ISA interrupt 0 to 15; 2 is the cascade and leads nowhere. */
  public InterruptLine input(int irq) {
    if (irq < 0 || irq > 15) {
      throw new IllegalArgumentException("irq=%d is not in 0..15".formatted(irq));
    }
    if (irq == CASCADE_INPUT) {
      return InterruptLine.UNCONNECTED;
    }
    Pic8259 chip = irq < 8 ? master : slave;
    return asserted -> chip.setInput(irq & 7, asserted);
  }

  /** The processor's INTA cycle: the vector, the spurious one of input 7 if nothing requests. */
  public int acknowledge() {
    int input = master.acknowledge();
    if (input != CASCADE_INPUT) {
      return master.vectorOf(input);
    }
    return slave.vectorOf(slave.acknowledge());
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return switch (port) {
      case MASTER_PORT -> master.readEven();
      case MASTER_PORT + 1 -> master.readOdd();
      case SLAVE_PORT -> slave.readEven();
      case SLAVE_PORT + 1 -> slave.readOdd();
      case ELCR_PORT -> master.elcr();
      case ELCR_PORT + 1 -> slave.elcr();
      default -> 0xFF;
    };
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    switch (port) {
      case MASTER_PORT -> master.writeEven(value);
      case MASTER_PORT + 1 -> master.writeOdd(value);
      case SLAVE_PORT -> slave.writeEven(value);
      case SLAVE_PORT + 1 -> slave.writeOdd(value);
      case ELCR_PORT -> master.setElcr(value);
      case ELCR_PORT + 1 -> slave.setElcr(value);
      default -> {}
    }
  }
}
