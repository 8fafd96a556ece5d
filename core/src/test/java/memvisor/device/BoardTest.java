package memvisor.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Random;
import memvisor.device.acpi.PowerManagement;
import memvisor.device.interrupt.ApicBus;
import memvisor.device.interrupt.IoApic;
import memvisor.device.interrupt.IsaInterrupts;
import memvisor.device.interrupt.LocalApic;
import memvisor.device.interrupt.PicPair;
import memvisor.device.interrupt.ProcessorEvents;
import memvisor.device.pc.DebugPorts;
import memvisor.device.pc.PciConfigurationPorts;
import memvisor.device.pc.PciConfigurationSpace;
import memvisor.device.pc.Pit8254;
import memvisor.device.pc.RealTimeClock;
import memvisor.device.pc.SystemReset;
import memvisor.device.pc.Uart16550;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole board wired as a PC. */
class BoardTest {
  private static final class Board {
    final FakeClock clock = new FakeClock();
    final PortBus ports = new PortBus();
    final MmioBus mmio = new MmioBus();
    final TimedDevices timed = new TimedDevices();
    final RecordingPower power = new RecordingPower();
    final StringBuilder console = new StringBuilder();
    final PicPair pics = new PicPair();
    final LocalApic apic;
    final Uart16550 uart;

    Board() {
      TimeStampCounter tsc = new TimeStampCounter(clock, new Frequency(1_000_000_000));
      ApicBus bus = new ApicBus();
      apic = new LocalApic(0, bus, clock, tsc, new Processor(), pics::acknowledge);
      pics.connect(apic.lint0());
      IoApic ioApic = new IoApic(1, bus);
      IsaInterrupts isa = new IsaInterrupts(pics, ioApic);
      uart =
          new Uart16550(
              Uart16550.COM1_PORT,
              clock,
              value -> console.append((char) value),
              isa.line(Uart16550.COM1_IRQ),
              () -> {});
      Pit8254 pit = new Pit8254(clock, isa.line(Pit8254.IRQ));
      Instant date = Instant.parse("2024-01-01T00:00:00Z");
      RealTimeClock rtc = new RealTimeClock(clock, isa.line(RealTimeClock.IRQ), date, 1 << 28);
      PowerManagement pm = new PowerManagement(clock, isa.line(PowerManagement.SCI_IRQ), power);

      mmio.add("lapic", LocalApic.DEFAULT_GPA, LocalApic.WINDOW_BYTES, apic);
      mmio.add("ioapic", IoApic.DEFAULT_GPA, IoApic.WINDOW_BYTES, ioApic);
      ports.add("pic-master", PicPair.MASTER_PORT, 2, pics);
      ports.add("pic-slave", PicPair.SLAVE_PORT, 2, pics);
      ports.add("elcr", PicPair.ELCR_PORT, 2, pics);
      ports.add("pit", Pit8254.FIRST_PORT, Pit8254.PORT_COUNT, pit);
      ports.add("control-b", Pit8254.CONTROL_B_PORT, 1, pit);
      ports.add("serial", Uart16550.COM1_PORT, Uart16550.PORT_COUNT, uart);
      ports.add("rtc", RealTimeClock.FIRST_PORT, RealTimeClock.PORT_COUNT, rtc);
      ports.add("acpi-pm", PowerManagement.FIRST_PORT, PowerManagement.PORT_COUNT, pm);
      SystemReset reset = new SystemReset(power);
      ports.add("control-a", SystemReset.CONTROL_A_PORT, 1, reset);
      ports.add("keyboard", SystemReset.KEYBOARD_COMMAND_PORT, 1, reset);
      ports.add(
          "pci",
          PciConfigurationPorts.FIRST_PORT,
          PciConfigurationPorts.PORT_COUNT,
          new PciConfigurationPorts(PciConfigurationSpace.EMPTY, power));
      DebugPorts debug = new DebugPorts(value -> console.append((char) value), power);
      ports.add("debug-console", DebugPorts.CONSOLE_PORT, 1, debug);
      ports.add("debug-exit", DebugPorts.EXIT_PORT, DebugPorts.EXIT_PORT_COUNT, debug);
      for (TimedDevice device : new TimedDevice[] {apic, pit, rtc, pm, uart}) {
        timed.add(device);
      }
    }

    void out(int port, int... values) {
      for (int value : values) {
        ports.write(port, 1, value);
      }
    }

    void redirect(int pin, int vector) {
      mmio.write(IoApic.DEFAULT_GPA, 4, 0x10 + 2 * pin);
      mmio.write(IoApic.DEFAULT_GPA + 0x10, 4, vector);
    }

    void endOfInterrupt() {
      mmio.write(LocalApic.DEFAULT_GPA + 0xB0, 4, 0);
    }
  }

  private static final class Processor implements ProcessorEvents {
    @Override
    public void interruptRequested() {}

    @Override
    public void nmi() {}

    @Override
    public void init() {}

    @Override
    public void startUp(int vector) {}
  }

  private final Board board = new Board();

  /** What a kernel's timer check sees: ticks of the PIT through pin 2 of the I/O APIC. */
  @Test
  void intervalTimerTicksThroughTheIoApic() {
    board.mmio.write(LocalApic.DEFAULT_GPA + 0xF0, 4, 0x1FF);
    board.redirect(2, 0x30);
    board.out(0x43, 0x34);
    board.out(0x40, 0xA9, 0x04);
    while (board.apic.acknowledge() >= 0) {
      board.endOfInterrupt();
    }
    int ticks = 0;
    long start = board.clock.now;
    while (board.clock.now < start + 10_000_000) {
      board.clock.runTo(board.timed.nextDeadlineNanos(), board.timed);
      if (board.apic.acknowledge() == 0x30) {
        ticks++;
        board.endOfInterrupt();
      }
    }
    assertThat(ticks).isEqualTo(11);
  }

  /** With the APIC as firmware leaves it, the same ticks come through the 8259A pair. */
  @Test
  void intervalTimerTicksThroughTheLegacyControllers() {
    board.apic.programAsFirmware();
    board.out(0x20, 0x11);
    board.out(0x21, 0x08, 0x04, 0x01, 0xFE);
    board.out(0x43, 0x34);
    board.out(0x40, 0xA9, 0x04);
    for (int tick = 0; tick < 5; tick++) {
      board.clock.runTo(board.timed.nextDeadlineNanos(), board.timed);
      assertThat(board.apic.interruptPending()).isTrue();
      assertThat(board.apic.acknowledge()).isEqualTo(0x08);
      board.out(0x20, 0x20);
    }
  }

  @Test
  void typedCharacterInterruptsThroughTheIoApic() {
    board.mmio.write(LocalApic.DEFAULT_GPA + 0xF0, 4, 0x1FF);
    board.redirect(4, 0x31);
    board.out(0x3F9, 1);
    board.uart.receive(new byte[] {'q'});
    assertThat(board.timed.nextDeadlineNanos()).isZero();
    board.timed.advance(board.clock.now);
    assertThat(board.apic.acknowledge()).isEqualTo(0x31);
    assertThat(board.ports.read(0x3F8, 1)).isEqualTo('q');
  }

  /** A guest may write anything anywhere: devices answer, and the same run answers the same. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void randomGuestNeitherBreaksNorSurprisesTheDevices(long seed) {
    assertThat(randomRun(seed)).as("seed=%d", seed).isEqualTo(randomRun(seed));
  }

  private static long randomRun(long seed) {
    Random random = new Random(seed);
    Board board = new Board();
    BusRange[] ports = board.ports.ranges().toArray(BusRange[]::new);
    BusRange[] windows = board.mmio.ranges().toArray(BusRange[]::new);
    long hash = 0;
    for (int i = 0; i < 100_000; i++) {
      int sizeBytes = 1 << random.nextInt(3);
      BusRange range = ports[random.nextInt(ports.length)];
      int port = (int) random.nextLong(range.start(), range.end());
      BusRange window = windows[random.nextInt(windows.length)];
      long gpa = window.start() + random.nextInt(0x40) * 0x10;
      switch (random.nextInt(6)) {
        case 0 -> hash = hash * 31 + board.ports.read(port, sizeBytes);
        case 1 -> board.ports.write(port, sizeBytes, random.nextInt());
        case 2 -> hash = hash * 31 + board.mmio.read(gpa, 4);
        case 3 -> board.mmio.write(gpa, 4, random.nextInt() & -1 >>> random.nextInt(32));
        case 4 -> hash = hash * 31 + board.apic.acknowledge();
        default -> {
          board.clock.now += random.nextLong(1L << random.nextInt(1, 36));
          board.timed.advance(board.clock.now);
          assertThat(board.timed.nextDeadlineNanos()).isGreaterThan(board.clock.now);
        }
      }
    }
    return hash * 31 + board.console.toString().hashCode() + board.power.events.size();
  }
}
