/**
 * Assembles a virtual machine: vCPU, technique, host memory, devices, boot image, and the exit
 * loop.
 *
 * <p>Entry type: {@code memvisor.machine.pc.PcMachine}.
 */
package memvisor.machine;
