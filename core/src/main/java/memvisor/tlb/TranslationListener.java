package memvisor.tlb;

/**
 * Whoever keeps translations derived from a {@link TranslationUnit} (the vCPU's translation cache).
 */
public interface TranslationListener {
  /** Every derived translation is void. */
  void translationsInvalidated();

  /**
   * Every derived translation is void but those of global pages ({@link TranslationResult#global}).
   */
  void nonGlobalInvalidated();

  /** Derived translations of the page (of any size) around {@code gva} are void. */
  void pageInvalidated(long gva);
}
