package memvisor.device.interrupt;

import memvisor.device.InterruptLine;

/**
 * The board's sixteen ISA interrupt wires: each reaches the 8259A pair and the I/O APIC pin of the
 * same number, but ISA interrupt 0 reaches pin 2 (the MADT says so).
 */
public final class IsaInterrupts {
  /** The I/O APIC pin of the interval timer. */
  public static final int TIMER_PIN = 2;

  private final PicPair pics;
  private final IoApic ioApic;

  /** Wires between the two controllers. */
  public IsaInterrupts(PicPair pics, IoApic ioApic) {
    this.pics = pics;
    this.ioApic = ioApic;
  }

  /** The wire of ISA interrupt 0 to 15 except 2; one device per wire. */
  public InterruptLine line(int irq) {
    InterruptLine pic = pics.input(irq);
    InterruptLine pin = ioApic.pin(irq == 0 ? TIMER_PIN : irq);
    return asserted -> {
      pic.set(asserted);
      pin.set(asserted);
    };
  }
}
