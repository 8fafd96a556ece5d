package memvisor.host.reclaim;

import java.lang.foreign.Arena;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/**
 * Writes pages of one VM to the swap file, in clusters of neighbouring slots: pages that have
 * frames of their own, and compressed ones, which are decompressed for it.
 */
final class PageSwapper implements PageTaker {
  private static final int PAGE_BYTES = 4096;

  private final VmReclaim pages;
  private final GuestFrames frames;
  private final Arena arena = Arena.ofAuto();
  private final long cluster =
      arena.allocate((long) SwapFile.CLUSTER * PAGE_BYTES, PAGE_BYTES).address();
  private final int[] reserved = new int[1];

  PageSwapper(VmReclaim pages) {
    this.pages = pages;
    this.frames = pages.frames();
  }

  @Override
  public int take(int region, long[] gfns, int count) {
    pages.announce(gfns, count);
    return write(region, gfns, count, TransitionReason.SWAPPED_OUT);
  }

  /** Writes pages of which nothing is derived any more; as {@link #take}. */
  int write(int region, long[] gfns, int count, TransitionReason why) {
    int taken = 0;
    for (int i = 0; i < count; ) {
      synchronized (pages.vm()) {
        int done = writeCluster(region, gfns, i, count, why);
        if (done < 0) {
          return taken == 0 ? EXHAUSTED : taken;
        }
        taken += done;
        i += done;
      }
    }
    return taken;
  }

  /** Writes as many pages from {@code from} on as there are neighbouring slots; -1: none. */
  private int writeCluster(int region, long[] gfns, int from, int count, TransitionReason why) {
    SwapFile swap = pages.shared().options().swap().orElseThrow();
    long started = pages.host().ledger().nowNanos();
    int first = swap.reserve(Math.min(SwapFile.CLUSTER, count - from), reserved);
    if (first < 0) {
      return EXHAUSTED;
    }
    int length = reserved[0];
    int damaged = 0;
    for (int i = 0; i < length; i++) {
      boolean whole = fetch(frames.get(region, gfns[from + i]), cluster + (long) i * PAGE_BYTES);
      damaged |= whole ? 0 : 1 << i;
    }
    if (!swap.write(first, length, cluster)) {
      return EXHAUSTED;
    }
    for (int i = 0; i < length; i++) {
      if ((damaged & 1 << i) != 0) {
        // It stays where it is: who asks for it is told.
        swap.free(first + i);
        continue;
      }
      long entry = frames.get(region, gfns[from + i]);
      pages.vm().publish(region, gfns[from + i], PageEntry.swapped(first + i), why, started);
      pages.release(entry, why);
      started = pages.host().ledger().nowNanos();
    }
    return length;
  }

  private boolean fetch(long entry, long target) {
    if (PageEntry.isPrivate(entry)) {
      Hva.copy(pages.machine().hva(Backing.hpa(entry)), target, PAGE_BYTES);
      return true;
    }
    return pages.shared().pool().load(PageEntry.handle(entry), pages.codec(), target);
  }
}
