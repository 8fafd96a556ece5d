package memvisor.host;

import java.lang.foreign.Arena;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/** Writes pages of one VM to the swap file, in clusters of neighbouring slots. */
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
    int taken = 0;
    for (int i = 0; i < count; ) {
      synchronized (pages.vm()) {
        int done = writeCluster(region, gfns, i, count);
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
  private int writeCluster(int region, long[] gfns, int from, int count) {
    SwapFile swap = pages.shared().options().swap().orElseThrow();
    long started = pages.host().ledger().nowNanos();
    int first = swap.reserve(Math.min(SwapFile.CLUSTER, count - from), reserved);
    if (first < 0) {
      return EXHAUSTED;
    }
    int length = reserved[0];
    for (int i = 0; i < length; i++) {
      long entry = frames.get(region, gfns[from + i]);
      long hva = pages.machine().hva(Backing.hpa(entry));
      Hva.copy(hva, cluster + (long) i * PAGE_BYTES, PAGE_BYTES);
    }
    if (!swap.write(first, length, cluster)) {
      return EXHAUSTED;
    }
    for (int i = 0; i < length; i++) {
      long entry = frames.get(region, gfns[from + i]);
      long swapped = PageEntry.swapped(first + i);
      pages.set(region, gfns[from + i], swapped, TransitionReason.SWAPPED_OUT, started);
      pages.release(entry, TransitionReason.SWAPPED_OUT);
      started = pages.host().ledger().nowNanos();
    }
    return length;
  }
}
