package memvisor.device.interrupt;

import java.util.ArrayList;
import java.util.List;
import memvisor.device.FakeClock;
import memvisor.device.Frequency;
import memvisor.device.TimeStampCounter;

/** Two processors, an I/O APIC and a pair of 8259A, wired as on a board. */
final class InterruptFixture {
  static final int TSC_HZ = 2_000_000_000;
  final FakeClock clock = new FakeClock();
  final TimeStampCounter tsc = new TimeStampCounter(clock, new Frequency(TSC_HZ));
  final ApicBus bus = new ApicBus();
  final PicPair pics = new PicPair();
  final IoApic ioApic = new IoApic(2, bus);
  final IsaInterrupts isa = new IsaInterrupts(pics, ioApic);
  final List<String> events = new ArrayList<>();
  final LocalApic cpu0 = localApic(0);
  final LocalApic cpu1 = localApic(1);

  InterruptFixture() {
    pics.connect(cpu0.lint0());
  }

  /** Both local APICs enabled by software, cpu0 in virtual wire mode. */
  static InterruptFixture enabled() {
    InterruptFixture fixture = new InterruptFixture();
    fixture.cpu0.programAsFirmware();
    fixture.cpu1.write(ApicRegister.SPURIOUS, 4, 0x1FF);
    return fixture;
  }

  private LocalApic localApic(int id) {
    ProcessorEvents processor =
        new ProcessorEvents() {
          @Override
          public void interruptRequested() {
            events.add(id + " request");
          }

          @Override
          public void nmi() {
            events.add(id + " nmi");
          }

          @Override
          public void init() {
            events.add(id + " init");
          }

          @Override
          public void startUp(int vector) {
            events.add("%d sipi %x".formatted(id, vector));
          }
        };
    return new LocalApic(id, bus, clock, tsc, processor, id == 0 ? pics::acknowledge : () -> -1);
  }

  void redirect(int pin, long entry) {
    ioApic.write(0, 4, 0x11 + 2 * pin);
    ioApic.write(0x10, 4, entry >>> 32);
    ioApic.write(0, 4, 0x10 + 2 * pin);
    ioApic.write(0x10, 4, entry & 0xFFFF_FFFFL);
  }

  long redirection(int pin) {
    ioApic.write(0, 4, 0x10 + 2 * pin);
    long low = ioApic.read(0x10, 4);
    ioApic.write(0, 4, 0x11 + 2 * pin);
    return ioApic.read(0x10, 4) << 32 | low;
  }

  /** The initialization sequence of a PC: master at 20h, slave at 28h, nothing masked. */
  void initializePics(boolean autoEoi) {
    int icw4 = autoEoi ? 3 : 1;
    int[][] writes = {
      {0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, icw4}, {0x21, 0},
      {0xA0, 0x11}, {0xA1, 0x28}, {0xA1, 2}, {0xA1, icw4}, {0xA1, 0}
    };
    for (int[] write : writes) {
      pics.writePort(write[0], 1, write[1]);
    }
  }

  static void endOfInterrupt(LocalApic apic) {
    apic.write(ApicRegister.EOI, 4, 0);
  }
}
