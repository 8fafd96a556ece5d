package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * Code by its content: what bytes decode to, and what was generated for it, for all processors that
 * share the library. So a guest whose code another one has run starts with that one's translations,
 * and a page that is moved, merged or written back finds its own again.
 *
 * <p>A hash suggests and the bytes decide. Nothing in here can be changed by a guest: a guest that
 * writes to its code only stops using what is here. Thread-safe; finding takes no lock.
 *
 * <p>Bounded: what was not asked for lately is forgotten. Processors keep what they run.
 */
public final class CodeLibrary {
  /** Class files of five Linux boots. */
  private static final long DEFAULT_CLASS_BYTES = 32L << 20;

  /**
   * What the hash covers: more than a usual beginning of functions, which saves six registers. Code
   * that is shorter is not found where something else follows it.
   */
  private static final int HASHED_BYTES = 24;

  /** Codes with the same beginning that are kept. */
  private static final int MAX_BUCKET = 8;

  private final Generations<Long, DecodedCode[]> codes;
  private final Generations<TranslatedClass, TranslatedClass> classes;

  /** A library with the bounds that a processor has by default. */
  public CodeLibrary() {
    this(CodeCache.DEFAULT_OPERATIONS, DEFAULT_CLASS_BYTES);
  }

  /**
   * A library with bounds.
   *
   * @param maxOperations decoded operations kept; 64 bytes of heap are allowed for each
   * @param maxClassBytes size of the class files kept
   */
  public CodeLibrary(long maxOperations, long maxClassBytes) {
    codes = new Generations<>(maxOperations, CodeLibrary::operations);
    classes = new Generations<>(maxClassBytes, translated -> translated.sizeBytes);
  }

  private static long operations(DecodedCode[] bucket) {
    long sum = 0;
    for (DecodedCode code : bucket) {
      sum += code.ops.length;
    }
    return sum;
  }

  /**
   * What the bytes decode to, if that is known.
   *
   * @param bytes from where the code starts; {@code available} of them are in its page
   */
  @Nullable DecodedCode find(byte[] bytes, int available, int mode, int pageOffset) {
    DecodedCode[] bucket = codes.get(key(bytes, available, mode, pageOffset));
    if (bucket != null) {
      for (DecodedCode code : bucket) {
        if (code.isDecodedFrom(bytes, available, mode, pageOffset)) {
          return code;
        }
      }
    }
    return null;
  }

  /** Adds what {@code bytes} were decoded to, unless somebody else has; answers what to use. */
  DecodedCode add(DecodedCode code, byte[] bytes, int available) {
    DecodedCode[] bucket =
        codes.update(
            key(bytes, available, code.mode, code.pageOffset), present -> with(present, code));
    for (DecodedCode known : bucket) {
      if (known.isSameAs(code)) {
        return known;
      }
    }
    return code;
  }

  private static DecodedCode[] with(DecodedCode @Nullable [] present, DecodedCode code) {
    if (present == null) {
      return new DecodedCode[] {code};
    }
    for (DecodedCode known : present) {
      if (known.isSameAs(code)) {
        return present;
      }
    }
    int kept = Math.min(present.length, MAX_BUCKET - 1);
    DecodedCode[] bucket = new DecodedCode[kept + 1];
    bucket[0] = code;
    System.arraycopy(present, 0, bucket, 1, kept);
    return bucket;
  }

  /** Keeps a class that a processor has begun to use. */
  void keep(TranslatedClass translated) {
    classes.update(translated, present -> translated);
  }

  private static Long key(byte[] bytes, int available, int mode, int pageOffset) {
    long hash = (long) mode << 12 | pageOffset;
    int hashed = Math.min(available, HASHED_BYTES);
    for (int i = 0; i < hashed; i++) {
      hash = (hash ^ bytes[i]) * 0x9E37_79B9_7F4A_7C15L;
      hash ^= hash >>> 29;
    }
    return hash;
  }
}
