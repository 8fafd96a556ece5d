package memvisor.machine.pc;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import memvisor.device.MmioBus;
import memvisor.device.TimedDevices;
import memvisor.device.acpi.VirtioWindow;
import memvisor.device.interrupt.IoApic;
import memvisor.device.virtio.VirtioDevice;
import memvisor.device.virtio.VirtioMmio;
import memvisor.machine.TechniqueKind;
import memvisor.memory.GuestMemory;

/** Where a PC's virtio devices are: one window and one I/O APIC pin each. */
final class VirtioSlots {
  /** Below the I/O APIC, in the hole for devices. */
  private static final long FIRST_GPA = 0xFEB0_0000L;

  /** The pins above the ISA interrupts. */
  private static final int FIRST_PIN = 16;

  private static final int SLOT_COUNT = IoApic.PIN_COUNT - FIRST_PIN;

  private final List<VirtioMmio> devices = new ArrayList<>();

  VirtioSlots(List<VirtioDevice> devices, GuestMemory memory, IoApic ioApic, Runnable wake) {
    for (VirtioDevice device : devices) {
      int pin = FIRST_PIN + this.devices.size();
      this.devices.add(new VirtioMmio(device, memory, ioApic.pin(pin), wake));
    }
  }

  /**
   * Says no to what cannot be built.
   *
   * @throws IllegalArgumentException with a message for the user
   */
  static void check(List<VirtioSpec> devices, TechniqueKind technique) {
    if (devices.size() > SLOT_COUNT) {
      throw new IllegalArgumentException(
          "a PC has room for %d virtio devices, not %d".formatted(SLOT_COUNT, devices.size()));
    }
    boolean balloon = devices.stream().anyMatch(VirtioSpec.Balloon.class::isInstance);
    if (balloon && technique == TechniqueKind.PARTITION) {
      throw new IllegalArgumentException(
          "a balloon gives pages back one by one, but under partition guest memory is one run of"
              + " frames: leave the balloon out or choose another technique");
    }
  }

  void plugInto(MmioBus mmio, TimedDevices timed) {
    List<VirtioWindow> windows = windows();
    for (int i = 0; i < devices.size(); i++) {
      VirtioMmio device = devices.get(i);
      mmio.add(device.device().name(), windows.get(i).gpa(), VirtioMmio.WINDOW_BYTES, device);
      timed.add(device);
    }
  }

  /** The windows as the ACPI tables announce them. */
  List<VirtioWindow> windows() {
    List<VirtioWindow> windows = new ArrayList<>();
    for (int i = 0; i < devices.size(); i++) {
      windows.add(
          new VirtioWindow(
              FIRST_GPA + i * VirtioMmio.WINDOW_BYTES, VirtioMmio.WINDOW_BYTES, FIRST_PIN + i));
    }
    return windows;
  }

  /** The transports, for listings. */
  List<VirtioMmio> devices() {
    return devices;
  }

  /** The transport of a device that is plugged in. */
  VirtioMmio transport(VirtioDevice device) {
    return devices.stream()
        .filter(transport -> transport.device().equals(device))
        .findFirst()
        .orElseThrow(() -> new IllegalStateException("not plugged in: " + device.name()));
  }

  /** The first device of a kind. */
  <D extends VirtioDevice> Optional<D> find(Class<D> kind) {
    return devices.stream()
        .map(VirtioMmio::device)
        .filter(kind::isInstance)
        .map(kind::cast)
        .findFirst();
  }
}
