package memvisor.cpu.jit;

import memvisor.cpu.x86.CodeLibrary;

/**
 * How the translator works.
 *
 * @param mode what is translated
 * @param threshold executions by interpretation after which a block is translated, at least 1
 * @param hotThreshold instructions run by a translation after which it is made once more, for
 *     HotSpot's optimizing compiler
 * @param maxRegionBlocks blocks that a region may have
 * @param maxRegionInstructions guest instructions that a region may have
 * @param maxCodeBytes size of all class files that may be in use at a time; the oldest translations
 *     are dropped beyond it
 * @param maxOperations decoded operations that may be in use at a time; all are dropped beyond it
 */
public record JitOptions(
    JitMode mode,
    int threshold,
    long hotThreshold,
    int maxRegionBlocks,
    int maxRegionInstructions,
    long maxCodeBytes,
    long maxOperations) {
  /*
   * What memory goes into: half of it for decoded code, with 64 bytes of heap an operation, a bound
   * (72 were measured before operations shrank); half for translated code, where a byte of class
   * file was measured to cost four of metaspace and code cache, with a guest of small functions.
   */
  private static final int BYTES_PER_CLASS_BYTE = 2 * 4;
  private static final int BYTES_PER_OPERATION = 2 * 64;

  /** Memory for code by default, in bytes. */
  public static final long DEFAULT_CODE_MEMORY = 256L << 20;

  /** Less does not hold what a kernel executes all the time. */
  public static final long LEAST_CODE_MEMORY = 4L << 20;

  /** What measurements on the Linux boot suggest. */
  public static JitOptions of(JitMode mode) {
    return new JitOptions(mode, 2000, 8_000_000, 16, 100, 0, 0).withCodeMemory(DEFAULT_CODE_MEMORY);
  }

  /** A library for processors with these options, as large as each of them may become. */
  public CodeLibrary newLibrary() {
    return new CodeLibrary(maxOperations, maxCodeBytes);
  }

  /** The same with as much memory for decoded and translated code, in bytes. */
  public JitOptions withCodeMemory(long bytes) {
    return new JitOptions(
        mode,
        threshold,
        hotThreshold,
        maxRegionBlocks,
        maxRegionInstructions,
        bytes / BYTES_PER_CLASS_BYTE,
        bytes / BYTES_PER_OPERATION);
  }

  /** The same with another threshold. */
  public JitOptions withThreshold(int newThreshold) {
    return new JitOptions(
        mode,
        newThreshold,
        hotThreshold,
        maxRegionBlocks,
        maxRegionInstructions,
        maxCodeBytes,
        maxOperations);
  }

  /** The same with another bound on the code in use. */
  public JitOptions withMaxCodeBytes(long newMaxCodeBytes) {
    return new JitOptions(
        mode,
        threshold,
        hotThreshold,
        maxRegionBlocks,
        maxRegionInstructions,
        newMaxCodeBytes,
        maxOperations);
  }

  /** The same with another threshold for what runs long. */
  public JitOptions withHotThreshold(long newHotThreshold) {
    return new JitOptions(
        mode,
        threshold,
        newHotThreshold,
        maxRegionBlocks,
        maxRegionInstructions,
        maxCodeBytes,
        maxOperations);
  }
}
