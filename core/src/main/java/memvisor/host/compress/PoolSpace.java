package memvisor.host.compress;

import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Frames of machine memory, each cut into 64 chunks of 64 bytes.
 *
 * <p>A page takes neighbouring chunks of one frame: best fit by the longest free run of each frame.
 * What lies where is kept apart from the bytes, so that damage to the bytes cannot damage the
 * allocator. A handle is HPA of the frame plus 64 times the chunk. Not thread-safe.
 */
final class PoolSpace {
  static final int CHUNKS = 64;
  static final int CHUNK_LOG2 = 6;
  private static final int FRAME_LOG2 = 12;

  private final PoolFrames source;
  private final long limitFrames;

  /** By frame number, as far up as any lay: looked up for every page that comes or goes. */
  private @Nullable PoolFrame[] frames = new PoolFrame[256];

  private int frameCount;
  private final @Nullable PoolFrame[] byRun = new PoolFrame[CHUNKS + 1];

  PoolSpace(PoolFrames source, long limitFrames) {
    this.source = source;
    this.limitFrames = limitFrames;
  }

  int frameCount() {
    return frameCount;
  }

  boolean isFull() {
    return frameCount >= limitFrames;
  }

  /** The page that a handle leads to. */
  PooledPage page(long handle) {
    long number = handle >>> FRAME_LOG2;
    PoolFrame frame = number < frames.length ? frames[(int) number] : null;
    PooledPage page =
        frame == null ? null : frame.pages[(int) (handle >>> CHUNK_LOG2) & CHUNKS - 1];
    if (page == null) {
      throw new IllegalStateException("no compressed page: handle=0x%x".formatted(handle));
    }
    return page;
  }

  /** Room for a page; null if there is none. */
  @Nullable PooledPage add(int lengthBytes, int checksum, @Nullable PooledPage base) {
    int chunks = chunks(lengthBytes);
    PoolFrame frame = bestFit(chunks);
    return frame == null ? null : place(frame, chunks, lengthBytes, checksum, base);
  }

  /** Takes in a frame that holds a page as it is; null if there may be no more. */
  @Nullable PooledPage adopt(long hpa, int checksum) {
    return isFull() ? null : place(newFrame(hpa), CHUNKS, PageCodec.PAGE_BYTES, checksum, null);
  }

  private PooledPage place(
      PoolFrame frame, int chunks, int lengthBytes, int checksum, @Nullable PooledPage base) {
    int chunk = findRun(frame.used, chunks);
    frame.used |= mask(chunk, chunks);
    relist(frame);
    PooledPage page = new PooledPage(frame, chunk, lengthBytes, checksum, base);
    frame.pages[chunk] = page;
    return page;
  }

  /** Forgets a page; an empty frame is given back. */
  void remove(PooledPage page) {
    PoolFrame frame = page.frame;
    frame.pages[page.chunk] = null;
    frame.used &= ~mask(page.chunk, chunks(page.lengthBytes));
    if (frame.used == 0) {
      unlist(frame);
      frames[(int) (frame.hpa >>> FRAME_LOG2)] = null;
      frameCount--;
      source.give(frame.hpa);
    } else {
      relist(frame);
    }
  }

  /** Hands every page to {@code action}, and proves that the chunks in use are theirs. */
  void audit(Consumer<PooledPage> action) {
    for (PoolFrame frame : frames) {
      if (frame == null) {
        continue;
      }
      long used = 0;
      for (PooledPage page : frame.pages) {
        if (page != null) {
          used |= mask(page.chunk, chunks(page.lengthBytes));
          action.accept(page);
        }
      }
      if (used != frame.used) {
        throw new IllegalStateException(
            "chunks disagree in pool frame hpa=0x%x".formatted(frame.hpa));
      }
    }
  }

  private @Nullable PoolFrame bestFit(int chunks) {
    for (int run = chunks; run <= CHUNKS; run++) {
      PoolFrame frame = byRun[run];
      if (frame != null) {
        return frame;
      }
    }
    long hpa = isFull() ? -1 : source.take();
    return hpa < 0 ? null : newFrame(hpa);
  }

  private PoolFrame newFrame(long hpa) {
    PoolFrame frame = new PoolFrame(hpa);
    int number = (int) (hpa >>> FRAME_LOG2);
    if (number >= frames.length) {
      frames = Arrays.copyOf(frames, Integer.highestOneBit(number) * 2);
    }
    frames[number] = frame;
    frameCount++;
    frame.longestRun = CHUNKS;
    list(frame);
    return frame;
  }

  private static int chunks(int lengthBytes) {
    return lengthBytes + (1 << CHUNK_LOG2) - 1 >>> CHUNK_LOG2;
  }

  private static long mask(int chunk, int chunks) {
    return -1L >>> CHUNKS - chunks << chunk;
  }

  /** First chunk of the first free run of that length, which must exist. */
  private static int findRun(long used, int chunks) {
    return Long.numberOfTrailingZeros(runStarts(~used, chunks));
  }

  /** Bits at which {@code chunks} free ones begin. */
  private static long runStarts(long free, int chunks) {
    long starts = free;
    for (int have = 1; have < chunks; ) {
      int step = Math.min(have, chunks - have);
      starts &= starts >>> step;
      have += step;
    }
    return starts;
  }

  private static int longestRun(long free) {
    int length = 0;
    for (long rest = free; rest != 0; rest &= rest >>> 1) {
      length++;
    }
    return length;
  }

  private void relist(PoolFrame frame) {
    unlist(frame);
    frame.longestRun = longestRun(~frame.used);
    list(frame);
  }

  private void list(PoolFrame frame) {
    PoolFrame first = byRun[frame.longestRun];
    frame.previous = null;
    frame.next = first;
    if (first != null) {
      first.previous = frame;
    }
    byRun[frame.longestRun] = frame;
  }

  private void unlist(PoolFrame frame) {
    PoolFrame next = frame.next;
    PoolFrame previous = frame.previous;
    if (previous == null) {
      byRun[frame.longestRun] = next;
    } else {
      previous.next = next;
    }
    if (next != null) {
      next.previous = previous;
    }
  }
}
