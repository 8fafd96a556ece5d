package memvisor.cpu.x86;

import java.lang.ref.WeakReference;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What a run of bytes decodes to: straight-line code that ends at a control transfer, at the page's
 * end or at a size limit. It depends on those bytes, on the mode and on the place in the page, and
 * on nothing else, so that every processor may execute the same one.
 *
 * <p>Operations are never changed after they were made. A {@link Block} is this code at one host
 * physical address, for one processor.
 */
final class DecodedCode {
  private static final WeakReference<TranslatedClass> NONE = new WeakReference<>(null);

  /** The mode bits; see {@link CodeMode}. */
  final int mode;

  /** Where in its page it starts. */
  final int pageOffset;

  /** The operations; not to be written. */
  final MicroOp[] ops;

  /** Bytes of the operations. */
  final int length;

  /**
   * What the decoder read: the operations, and what follows them where the page ended inside an
   * instruction.
   */
  private final byte[] bytes;

  /**
   * What was generated for code that begins with this, at first and when it had run for long. Weak:
   * those who run a class keep it, and the library as much as it may.
   */
  private volatile WeakReference<TranslatedClass> warm = NONE;

  private volatile WeakReference<TranslatedClass> hot = NONE;

  DecodedCode(int mode, int pageOffset, MicroOp[] ops, int length, byte[] bytes) {
    this.mode = mode;
    this.pageOffset = pageOffset;
    this.ops = ops;
    this.length = length;
    this.bytes = bytes;
  }

  /** Whether {@code source} decodes to this, of which {@code available} bytes are in the page. */
  boolean isDecodedFrom(byte[] source, int available, int otherMode, int otherPageOffset) {
    return mode == otherMode
        && pageOffset == otherPageOffset
        && bytes.length <= available
        && Arrays.equals(bytes, 0, bytes.length, source, 0, bytes.length);
  }

  /** Whether the other is the same code at the same place of a page. */
  boolean isSameAs(DecodedCode other) {
    return this == other
        || other.isDecodedFrom(bytes, bytes.length, mode, pageOffset)
            && other.bytes.length == bytes.length;
  }

  /** A copy of the bytes of one instruction. */
  byte[] bytes(int index) {
    MicroOp op = ops[index];
    return Arrays.copyOfRange(bytes, op.offset, op.offset + op.length);
  }

  /** What was generated for this code at first, if it is still there. */
  @Nullable TranslatedClass warm() {
    return warm.get();
  }

  /** What was generated for this code when it had run for long, if it is still there. */
  @Nullable TranslatedClass hot() {
    return hot.get();
  }

  boolean isTranslated() {
    return warm() != null || hot() != null;
  }

  /** Lets every processor that comes to this code find what was generated for it. */
  void publish(TranslatedClass translated) {
    if (translated.hot) {
      hot = new WeakReference<>(translated);
    } else {
      warm = new WeakReference<>(translated);
    }
  }
}
