/**
 * Who gives memory up when several VMs share a machine that is too small for them, how much, by
 * which means, and why.
 *
 * <p>Everything here decides and nothing acts: {@link
 * memvisor.host.policy.OvercommitPolicy#plan(HostView)} takes an immutable snapshot of the machine
 * and its VMs and returns what is to be done, each order with its reason. {@code host} takes the
 * snapshots and carries the orders out. The ideas are those of Waldspurger, "Memory Resource
 * Management in VMware ESX Server" (2002): shares with a tax on idle memory, four states of a
 * machine, ballooning before paging; and of Linux' pressure stall information. Imports nothing of
 * the rest.
 */
package memvisor.host.policy;
