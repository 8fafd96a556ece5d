/**
 * ACPI: the fixed hardware (power management timer, power button, sleep and reset) and the tables
 * that describe the machine, with a small writer of AML.
 *
 * <p>Entry points: {@link memvisor.device.acpi.AcpiTables#build} and {@link
 * memvisor.device.acpi.PowerManagement}. Specification: ACPI 6.4, chapters 4, 5, 19 and 20. Absent:
 * general-purpose events, processor objects, PCI routing.
 */
@org.jspecify.annotations.NullMarked
package memvisor.device.acpi;
