package memvisor.cpu.jit;

/**
 * How the translator works.
 *
 * @param mode what is translated
 * @param threshold executions by interpretation after which a block is translated, at least 1
 * @param regionThreshold runs of a translated block after which it is translated again as a region
 * @param maxRegionBlocks blocks that a region may have
 * @param maxRegionInstructions guest instructions that a region may have: HotSpot does not compile
 *     methods of more than 8,000 bytes
 * @param maxCodeBytes size of all class files that may be in use at a time; the oldest translations
 *     are dropped beyond it
 */
public record JitOptions(
    JitMode mode,
    int threshold,
    long regionThreshold,
    int maxRegionBlocks,
    int maxRegionInstructions,
    long maxCodeBytes) {
  /** What measurements on the Linux boot suggest. */
  public static JitOptions of(JitMode mode) {
    return new JitOptions(mode, 2000, 400_000, 16, 64, 64L << 20);
  }

  /** The same with another threshold. */
  public JitOptions withThreshold(int newThreshold) {
    return new JitOptions(
        mode, newThreshold, regionThreshold, maxRegionBlocks, maxRegionInstructions, maxCodeBytes);
  }

  /** The same with another bound on the code in use. */
  public JitOptions withMaxCodeBytes(long newMaxCodeBytes) {
    return new JitOptions(
        mode, threshold, regionThreshold, maxRegionBlocks, maxRegionInstructions, newMaxCodeBytes);
  }

  /** The same with another threshold for regions. */
  public JitOptions withRegionThreshold(long newRegionThreshold) {
    return new JitOptions(
        mode, threshold, newRegionThreshold, maxRegionBlocks, maxRegionInstructions, maxCodeBytes);
  }
}
