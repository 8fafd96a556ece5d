package memvisor.host.frames;

/**
 * What compaction did for a machine.
 *
 * @param started blocks of 2 MiB that it set out to empty
 * @param emptied blocks that became free
 * @param abandoned blocks given up, because something in them could not be moved in time
 * @param moved pages that were moved out of the way
 */
public record CompactionCounters(long started, long emptied, long abandoned, long moved) {}
