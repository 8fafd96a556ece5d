/**
 * A domain as Xen's paravirtual 64-bit interface defines it (public headers of Xen 4.17), around
 * one software vCPU and direct paging.
 *
 * <p>Entry type: {@link memvisor.machine.xen.XenMachine}. The guest's kernel runs at CPL 3 and
 * calls the monitor; {@code PvCpu} is its ring 0, {@code Hypercalls} the table of calls. Absent:
 * other domains, so no grants and no xenstore; a second vCPU; the 32-bit interface.
 */
@org.jspecify.annotations.NullMarked
package memvisor.machine.xen;
