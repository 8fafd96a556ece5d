package memvisor.host.frames;

import java.util.Arrays;

/**
 * How the free frames of a machine lie: whether they make large blocks.
 *
 * @param frames free frames
 * @param blocks free blocks of 2^order frames, by order: 0 is 4 KiB, 9 is 2 MiB, 18 is 1 GiB
 */
public record FreeBlocks(long frames, long[] blocks) {
  /** Copies what is mutable. */
  public FreeBlocks {
    blocks = blocks.clone();
  }

  @Override
  public long[] blocks() {
    return blocks.clone();
  }

  /**
   * The share of free memory, 0 to 1, that is of no use for a block of that order: 0 where all of
   * it lies in such blocks or larger ones (M. Gorman, Understanding the Linux Virtual Memory
   * Manager, calls it the unusable free space index).
   */
  public double unusable(int order) {
    long usable = 0;
    for (int have = order; have < blocks.length; have++) {
      usable += blocks[have] << have;
    }
    return frames == 0 ? 0 : (double) (frames - usable) / frames;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof FreeBlocks that
        && frames == that.frames
        && Arrays.equals(blocks, that.blocks);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(blocks);
  }

  @Override
  public String toString() {
    return "free %d frames, blocks %s".formatted(frames, Arrays.toString(blocks));
  }
}
