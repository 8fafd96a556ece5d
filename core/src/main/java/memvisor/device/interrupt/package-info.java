/**
 * The PC's interrupt controllers: a pair of 8259A, the I/O APIC and one local APIC per vCPU.
 *
 * <p>A processor sees only {@link memvisor.device.interrupt.InterruptController}, which its local
 * APIC implements. ISA devices get their wires from {@link
 * memvisor.device.interrupt.IsaInterrupts}, which drives the 8259A pair and the I/O APIC alike, as
 * a board does.
 *
 * <p>Manuals: Intel SDM volume 3, chapter 11 (local APIC); 82093AA data sheet, and the ICH9 data
 * sheet 13.5 for the version 20h registers (I/O APIC); 8259A data sheet and ICH9 13.4 (ELCR).
 * Absent: x2APIC, MSI (a later device can call {@link memvisor.device.interrupt.ApicBus#deliver}),
 * interrupt remapping.
 */
@org.jspecify.annotations.NullMarked
package memvisor.device.interrupt;
