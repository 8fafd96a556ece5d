package memvisor.device.acpi;

import java.util.List;

/**
 * What the tables say of the machine.
 *
 * @param hardwareReduced whether only sleep control and reset exist: no SCI, PM timer, PIT or 8259A
 * @param apicIds the local APIC IDs of the vCPUs, the bootstrap processor's first
 * @param virtio the virtio-mmio devices
 */
public record AcpiPlatform(
    boolean hardwareReduced, List<Integer> apicIds, List<VirtioWindow> virtio) {
  /** Copies the lists. */
  public AcpiPlatform {
    apicIds = List.copyOf(apicIds);
    virtio = List.copyOf(virtio);
    if (apicIds.isEmpty()) {
      throw new IllegalArgumentException("a machine has at least one processor");
    }
  }

  /** A full PC with {@code vcpuCount} processors and no virtio devices. */
  public static AcpiPlatform pc(int vcpuCount) {
    return new AcpiPlatform(
        false, java.util.stream.IntStream.range(0, vcpuCount).boxed().toList(), List.of());
  }
}
