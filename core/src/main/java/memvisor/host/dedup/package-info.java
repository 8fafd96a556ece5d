/**
 * What deduplication needs that knows no VM: the content hash, the table of shared contents, the
 * table of candidates, KSM's knobs and counters.
 */
package memvisor.host.dedup;
