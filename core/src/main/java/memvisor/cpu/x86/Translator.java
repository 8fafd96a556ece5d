package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Makes code that the JVM compiles of blocks that are executed often. */
public interface Translator {
  /** Executions after which a block is offered for translation. */
  int threshold();

  /**
   * Translates and installs; null if the block is to be interpreted for ever.
   *
   * @see HotCode#install
   */
  @Nullable CompiledCode translate(HotCode code);

  /** A translation that was made before, perhaps for another processor, is executed again. */
  void adopted(CompiledCode code);

  /** Runs of a translated block after which it is offered with the blocks around it. */
  long regionThreshold();

  /** Translates a block together with what follows it; null if the block alone is to stay. */
  @Nullable CompiledCode translateRegion(HotCode code);
}
