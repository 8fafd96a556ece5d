package memvisor.host.reclaim;

import java.util.Optional;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.swap.SwapFile;

/**
 * Which means reclaim may use, and when.
 *
 * @param dedup deduplication
 * @param compress whether cold pages are compressed in memory
 * @param patch whether, of these, one that is like another is kept as a patch to it
 * @param poolPercent most of machine memory, in percent, that compressed pages may take
 * @param swap where pages go that compression cannot keep; the host memory closes it
 * @param lowFrames reclaim starts when fewer frames are free: what a vCPU may take until it comes
 *     to its next block boundary, with room to spare
 * @param highFrames reclaim ends when so many are free
 */
public record ReclaimOptions(
    DedupOptions dedup,
    boolean compress,
    boolean patch,
    int poolPercent,
    Optional<SwapFile> swap,
    long lowFrames,
    long highFrames) {
  /** Checks the ranges. */
  public ReclaimOptions {
    if (poolPercent < 0 || poolPercent > 100 || lowFrames < 0 || highFrames < lowFrames) {
      throw new IllegalArgumentException(
          "poolPercent=%d lowFrames=%d highFrames=%d"
              .formatted(poolPercent, lowFrames, highFrames));
    }
  }

  /** Nothing but room for VMs larger than the machine; 1/32 of {@code hostBytes} kept free. */
  public static ReclaimOptions none(long hostBytes) {
    long low = Math.max(8, hostBytes >>> 12 + 5);
    return new ReclaimOptions(DedupOptions.OFF, false, true, 50, Optional.empty(), low, 2 * low);
  }

  /** The same with deduplication as described. */
  public ReclaimOptions withDedup(DedupOptions newDedup) {
    return new ReclaimOptions(newDedup, compress, patch, poolPercent, swap, lowFrames, highFrames);
  }

  /** The same with compression on or off. */
  public ReclaimOptions withCompression(boolean on) {
    return new ReclaimOptions(dedup, on, patch, poolPercent, swap, lowFrames, highFrames);
  }

  /** The same with patches, where pages are compressed, or without. */
  public ReclaimOptions withPatches(boolean on) {
    return new ReclaimOptions(dedup, compress, on, poolPercent, swap, lowFrames, highFrames);
  }

  /** The same with another limit of the compressed pool. */
  public ReclaimOptions withPoolPercent(int percent) {
    return new ReclaimOptions(dedup, compress, patch, percent, swap, lowFrames, highFrames);
  }

  /** The same with a swap file. */
  public ReclaimOptions withSwap(SwapFile file) {
    return new ReclaimOptions(
        dedup, compress, patch, poolPercent, Optional.of(file), lowFrames, highFrames);
  }
}
