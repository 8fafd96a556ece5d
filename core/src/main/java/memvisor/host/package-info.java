/**
 * Machine memory: the frames, who owns them, and how they become the memory of VMs.
 *
 * <p>{@link memvisor.host.HostMemory} is the entry point: it maps the arena, hands out frames and
 * creates one {@link memvisor.host.VmMemory} per VM, which answers the ports of {@code memory}. The
 * {@link memvisor.host.Ledger} records every frame; its sums are exact whenever no call is in
 * progress. Imports {@code address} and {@code memory} only: it never sees a page table or a CPU.
 */
package memvisor.host;
