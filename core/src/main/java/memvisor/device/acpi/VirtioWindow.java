package memvisor.device.acpi;

/**
 * A virtio-mmio device as the DSDT announces it (LNRO0005).
 *
 * @param gpa its register window, below 4 GiB
 * @param sizeBytes the window's size
 * @param gsi its level-triggered global system interrupt
 */
public record VirtioWindow(long gpa, long sizeBytes, int gsi) {}
