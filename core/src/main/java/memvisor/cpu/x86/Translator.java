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

  /** Instructions run by a translation after which its block is offered once more. */
  long hotThreshold();

  /**
   * Translates what was translated before, and then ran for long, for the JVM's optimizing
   * compiler; null if what there is is to stay.
   */
  @Nullable CompiledCode translateHot(HotCode code);
}
