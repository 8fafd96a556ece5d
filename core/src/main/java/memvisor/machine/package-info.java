/**
 * Assembles a virtual machine: vCPU, technique, host memory, devices, boot image, and the exit
 * loop.
 *
 * <p>Entry types: {@link memvisor.machine.VirtualMachine}, and {@code
 * memvisor.machine.pc.PcMachine} to begin with.
 */
package memvisor.machine;
