package memvisor.host.compress;

import org.jspecify.annotations.Nullable;

/**
 * Contents of a page in the pool, which any number of guest pages may stand on. The pool's lock is
 * held to change it.
 */
final class PooledPage {
  final PoolFrame frame;
  final int chunk;
  final int lengthBytes;

  /** CRC-32C of the page as the guest knows it. */
  final int checksum;

  /** The page to which this is a patch, if it is one; that one is none. */
  final @Nullable PooledPage base;

  /** Guest pages with these contents. */
  int users;

  /** Patches to it. */
  int patches;

  /** Who has it in hand at this moment, so that it must stay. */
  int pins;

  /** Whether equal pages can find it. */
  boolean isListed;

  /** Whether similar pages can find it. */
  boolean isBase;

  PooledPage(PoolFrame frame, int chunk, int lengthBytes, int checksum, @Nullable PooledPage base) {
    this.frame = frame;
    this.chunk = chunk;
    this.lengthBytes = lengthBytes;
    this.checksum = checksum;
    this.base = base;
  }

  /** Whether nothing keeps it in the pool. */
  boolean isGone() {
    return users == 0 && patches == 0 && pins == 0;
  }

  /** Whether it lies there as it is. */
  boolean isWhole() {
    return lengthBytes == PageCodec.PAGE_BYTES;
  }

  /** HPA of its first byte. */
  long handle() {
    return frame.hpa + ((long) chunk << PoolSpace.CHUNK_LOG2);
  }

  /** Bytes for each of its users: its own, and its part of the page to which it is a patch. */
  double partBytes() {
    return base == null
        ? (double) lengthBytes / (users + patches)
        : (lengthBytes + base.partBytes()) / users;
  }
}
