/**
 * The small devices of a PC's board: serial port, interval timer, real-time clock, reset, debug and
 * PCI configuration ports.
 *
 * <p>Manuals: National Semiconductor PC16550D; Intel 8254; Motorola MC146818A; PCI Local Bus 3.0,
 * 3.2.2.3.2 (configuration mechanism 1). Absent: keyboard controller (only its reset command),
 * floppy, DMA controllers, HPET.
 */
@org.jspecify.annotations.NullMarked
package memvisor.device.pc;
