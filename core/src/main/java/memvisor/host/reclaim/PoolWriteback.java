package memvisor.host.reclaim;

import java.util.Arrays;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageState;

/**
 * Writes those compressed pages of one VM to the swap file that have been compressed for longest,
 * so that the pool has room for pages that were in use until now.
 */
final class PoolWriteback {
  /** Most pages at once, and the part of the VM's compressed pages that goes at most. */
  private static final int MOST = 256;

  private static final int PART = 4;

  private final VmReclaim pages;
  private final GuestFrames frames;
  private final PageSwapper swapper;
  private final long[] batch = new long[MOST];
  private long[] times = new long[0];
  private int size;
  private int chosen;

  PoolWriteback(VmReclaim pages, PageSwapper swapper) {
    this.pages = pages;
    frames = pages.frames();
    this.swapper = swapper;
  }

  /** Writes some pages back; how many. The VM stands still. */
  int run() {
    long compressed = frames.countsByState()[PageState.COMPRESSED.ordinal()];
    if (compressed == 0 || pages.shared().options().swap().isEmpty()) {
      return 0;
    }
    int wanted = (int) Math.min(MOST, (compressed + PART - 1) / PART);
    long youngest = timeOf(wanted, (int) compressed);
    int written = 0;
    for (int region = 0; region < frames.regionCount() && written < wanted; region++) {
      int done = write(region, youngest, wanted - written);
      if (done < 0) {
        return written;
      }
      written += done;
    }
    return written;
  }

  /** When the {@code wanted}-th of the oldest compressed pages was compressed. */
  private long timeOf(int wanted, int compressed) {
    if (times.length < compressed) {
      times = new long[compressed];
    }
    size = 0;
    frames.forEach(
        (region, gfn, entry) -> {
          if (PageEntry.state(entry) == PageState.COMPRESSED) {
            times[size++] = pages.vm().changedNanos(region, gfn);
          }
        });
    Arrays.sort(times, 0, size);
    return times[wanted - 1];
  }

  private int write(int region, long youngest, int most) {
    chosen = 0;
    for (long gfn = frames.firstGfn(region); gfn < frames.endGfn(region) && chosen < most; gfn++) {
      if (PageEntry.state(frames.get(region, gfn)) == PageState.COMPRESSED
          && pages.vm().changedNanos(region, gfn) <= youngest) {
        batch[chosen++] = gfn;
      }
    }
    return chosen == 0 ? 0 : swapper.write(region, batch, chosen, TransitionReason.WRITTEN_BACK);
  }
}
