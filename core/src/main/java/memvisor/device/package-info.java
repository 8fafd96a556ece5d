/**
 * What every device is made of: buses, interrupt lines, the VM's clock and the devices' deadlines.
 *
 * <p>The devices themselves are in the sub-packages: {@code interrupt} (8259A, I/O APIC, local
 * APIC), {@code pc} (serial port, PIT, RTC, reset and debug ports) and {@code acpi} (fixed hardware
 * and tables). A device knows nothing of processors, memory or other devices; it is given a clock,
 * interrupt lines and sinks, and {@code machine} puts it on a {@link memvisor.device.PortBus} or
 * {@link memvisor.device.MmioBus}.
 *
 * <p>Time: a device computes its state from {@link memvisor.device.VmClock} when it is looked at,
 * and tells by {@link memvisor.device.TimedDevice} when it next has to act by itself. Given the
 * clock, devices are deterministic.
 *
 * <p>Threads: the devices of one VM are confined to one thread at a time; who shares them between
 * vCPUs takes one lock per VM around every call. Two methods may be called from any thread: {@code
 * Uart16550.receive} and {@code InterruptController.interruptPending}.
 */
@org.jspecify.annotations.NullMarked
package memvisor.device;
