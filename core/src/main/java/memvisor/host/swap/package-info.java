/**
 * The swap file: slots of one page, each with a checksum that is kept in memory.
 *
 * <p>{@link memvisor.host.swap.SwapFile} is the entry point; {@link memvisor.host.swap.SwapStorage}
 * is the file behind it, or in tests one that fails on purpose.
 */
package memvisor.host.swap;
