package memvisor.host.page;

/**
 * The large pages of one VM.
 *
 * @param blocks blocks of 2 MiB of guest memory that lie in one block of machine memory now
 * @param collapsed blocks that were put together again out of single frames
 * @param pagesCopied pages that were copied for that
 * @param nanos wall time that took, in nanoseconds
 * @param refused times that no block of machine memory was free for it
 */
public record LargePageCounters(
    long blocks, long collapsed, long pagesCopied, long nanos, long refused) {}
