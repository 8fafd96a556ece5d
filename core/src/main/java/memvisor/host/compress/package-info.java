/**
 * Compressed pages: the LZ4 block codec, and the allocator that packs its results into frames.
 *
 * <p>{@link memvisor.host.compress.CompressedPool} is the entry point. It knows neither VMs nor the
 * ledger: frames come from a {@link memvisor.host.compress.PoolFrames}.
 */
package memvisor.host.compress;
