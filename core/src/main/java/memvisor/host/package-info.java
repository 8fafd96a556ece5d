/**
 * Machine memory, and how it becomes the memory of VMs.
 *
 * <p>{@link memvisor.host.HostMemory} is the entry point: it creates one {@link
 * memvisor.host.VmMemory} per VM, which answers the ports of {@code memory}. Both stand on {@code
 * host.frames}, whose {@link memvisor.host.frames.Ledger} records every frame, on {@code
 * host.page}, which records every page of a VM, and on {@code host.reclaim}, which takes pages
 * away. Imports {@code address} and {@code memory} only: it never sees a page table or a CPU.
 */
package memvisor.host;
