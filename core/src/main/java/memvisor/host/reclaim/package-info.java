/**
 * Taking pages from VMs and bringing them back: by deduplication, compression and swap, the oldest
 * first, as the policy orders or as need commands.
 */
package memvisor.host.reclaim;
