/**
 * Many VMs on one machine memory: each on a thread of its own, started, held and ended while the
 * others run, and none of them hurt when one of them crashes.
 *
 * <p>Entry type: {@link memvisor.machine.fleet.VmHost}. A program that embeds Memvisor makes one
 * from a {@link memvisor.host.HostMemory}, adds VMs and starts them.
 */
package memvisor.machine.fleet;
