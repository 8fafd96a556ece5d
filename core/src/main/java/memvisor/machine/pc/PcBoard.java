package memvisor.machine.pc;

import java.time.Instant;
import java.util.List;
import memvisor.device.ByteSink;
import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.MmioBus;
import memvisor.device.PortBus;
import memvisor.device.PowerEvents;
import memvisor.device.TimeStampCounter;
import memvisor.device.TimedDevices;
import memvisor.device.VmClock;
import memvisor.device.acpi.AcpiPlatform;
import memvisor.device.acpi.PowerManagement;
import memvisor.device.interrupt.ApicBus;
import memvisor.device.interrupt.InterruptController;
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
import memvisor.device.virtio.VirtioDevice;
import memvisor.memory.GuestMemory;

/** The devices of a PC, wired as the ACPI tables say. */
final class PcBoard {
  /** Number of vCPUs; also the I/O APIC's ID, as the MADT says. */
  static final int VCPU_COUNT = 1;

  static final int MSR_APIC_BASE = 0x1B;
  static final int MSR_TSC_DEADLINE = 0x6E0;

  /** What the board needs from around it. */
  record Surroundings(
      VmClock clock,
      long tscHz,
      Instant date,
      long memoryBytes,
      PowerEvents power,
      ProcessorEvents processor,
      Runnable wake,
      ByteSink serialOutput,
      ByteSink debugOutput,
      GuestMemory memory,
      List<VirtioDevice> virtio) {}

  private final PortBus ports = new PortBus();
  private final MmioBus mmio = new MmioBus();
  private final TimedDevices timed = new TimedDevices();
  private final TimeStampCounter timestamp;
  private final LocalApic localApic;
  private final Uart16550 serial;
  private final PowerManagement powerManagement;
  private final VirtioSlots virtio;

  PcBoard(Surroundings s) {
    VmClock clock = s.clock();
    timestamp = new TimeStampCounter(clock, new Frequency(s.tscHz()));
    PicPair pics = new PicPair();
    ApicBus bus = new ApicBus();
    IoApic ioApic = new IoApic(VCPU_COUNT, bus);
    localApic = new LocalApic(0, bus, clock, timestamp, s.processor(), pics::acknowledge);
    localApic.programAsFirmware();
    pics.connect(localApic.lint0());
    IsaInterrupts isa = new IsaInterrupts(pics, ioApic);

    Pit8254 pit = new Pit8254(clock, isa.line(Pit8254.IRQ));
    RealTimeClock rtc =
        new RealTimeClock(clock, isa.line(RealTimeClock.IRQ), s.date(), s.memoryBytes());
    serial =
        new Uart16550(
            Uart16550.COM1_PORT, clock, s.serialOutput(), isa.line(Uart16550.COM1_IRQ), s.wake());
    InterruptLine sci = isa.line(PowerManagement.SCI_IRQ);
    powerManagement = new PowerManagement(clock, sci, s.power());

    mmio.add("ioapic", IoApic.DEFAULT_GPA, IoApic.WINDOW_BYTES, ioApic);
    mmio.add("lapic", LocalApic.DEFAULT_GPA, LocalApic.WINDOW_BYTES, localApic);
    addPorts(pics, pit, rtc, s);
    timed.add(localApic);
    timed.add(pit);
    timed.add(rtc);
    timed.add(serial);
    timed.add(powerManagement);
    virtio = new VirtioSlots(s.virtio(), s.memory(), ioApic, s.wake());
    virtio.plugInto(mmio, timed);
  }

  private void addPorts(PicPair pics, Pit8254 pit, RealTimeClock rtc, Surroundings s) {
    ports.add("pic", PicPair.MASTER_PORT, 2, pics);
    ports.add("pic", PicPair.SLAVE_PORT, 2, pics);
    ports.add("elcr", PicPair.ELCR_PORT, 2, pics);
    ports.add("pit", Pit8254.FIRST_PORT, Pit8254.PORT_COUNT, pit);
    ports.add("pit-control-b", Pit8254.CONTROL_B_PORT, 1, pit);
    ports.add("rtc", RealTimeClock.FIRST_PORT, RealTimeClock.PORT_COUNT, rtc);
    ports.add("serial", Uart16550.COM1_PORT, Uart16550.PORT_COUNT, serial);
    ports.add("acpi-pm", PowerManagement.FIRST_PORT, PowerManagement.PORT_COUNT, powerManagement);
    SystemReset reset = new SystemReset(s.power());
    ports.add("system-control-a", SystemReset.CONTROL_A_PORT, 1, reset);
    ports.add("keyboard-command", SystemReset.KEYBOARD_COMMAND_PORT, 1, reset);
    DebugPorts debug = new DebugPorts(s.debugOutput(), s.power());
    ports.add("debug-console", DebugPorts.CONSOLE_PORT, 1, debug);
    ports.add("debug-exit", DebugPorts.EXIT_PORT, DebugPorts.EXIT_PORT_COUNT, debug);
    ports.add(
        "pci-configuration",
        PciConfigurationPorts.FIRST_PORT,
        PciConfigurationPorts.PORT_COUNT,
        new PciConfigurationPorts(PciConfigurationSpace.EMPTY, s.power()));
  }

  PortBus ports() {
    return ports;
  }

  MmioBus mmio() {
    return mmio;
  }

  InterruptController interrupts() {
    return localApic;
  }

  TimeStampCounter timestamp() {
    return timestamp;
  }

  TimedDevices timed() {
    return timed;
  }

  Uart16550 serial() {
    return serial;
  }

  /** What the ACPI tables say of this board. */
  AcpiPlatform platform() {
    return new AcpiPlatform(false, AcpiPlatform.pc(VCPU_COUNT).apicIds(), virtio.windows());
  }

  /** The virtio devices. */
  VirtioSlots virtio() {
    return virtio;
  }

  /** The user presses the power button. */
  void pressPowerButton() {
    powerManagement.pressPowerButton();
  }

  long apicBase() {
    return localApic.baseMsr();
  }

  boolean setApicBase(long value) {
    return localApic.writeBaseMsr(value);
  }

  long tscDeadline() {
    return localApic.tscDeadline();
  }

  void setTscDeadline(long value) {
    localApic.setTscDeadline(value);
  }
}
