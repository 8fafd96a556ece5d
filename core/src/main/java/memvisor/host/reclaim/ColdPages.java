package memvisor.host.reclaim;

import java.util.function.BooleanSupplier;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;

/**
 * Takes the frames of those pages of one VM that were not accessed for longest, by a given means.
 *
 * <p>A hand goes round over the pages, so that those of equal age take turns. The VM stands still.
 */
final class ColdPages {
  /** Every page that has a frame of its own. */
  static final int ANY = 0;

  /** Pages not accessed since the last harvest. */
  static final int COLD = 1;

  /** Most pages that a means is given at once. */
  private static final int BATCH = 512;

  private final GuestFrames frames;
  private final PageAges ages;
  private final PageTaker compressor;
  private final PageTaker swapper;
  private final long[] victims = new long[BATCH];
  private int region;
  private long hand;

  /** The means in use can take no more. */
  private boolean exhausted;

  ColdPages(VmReclaim pages, PageAges ages) {
    frames = pages.frames();
    this.ages = ages;
    compressor =
        new PageCompressor(pages, (in, gfn) -> ages.foundIncompressible(in, index(in, gfn)));
    swapper = pages.swapper();
    hand = frames.regionCount() == 0 ? 0 : frames.firstGfn(0);
  }

  private int index(int in, long gfn) {
    return (int) (gfn - frames.firstGfn(in));
  }

  /**
   * Compresses pages, the oldest first; pages that did not compress are left alone.
   *
   * @param most how many, at most
   * @param youngest the least age of a page, {@link #COLD} or {@link #ANY}
   * @param enough asked before every batch: whether to end now
   * @return how many
   */
  long compress(long most, int youngest, BooleanSupplier enough) {
    return take(compressor, most, youngest, enough);
  }

  /** As {@link #compress}, but to the swap file. */
  long swapOut(long most, int youngest, BooleanSupplier enough) {
    return take(swapper, most, youngest, enough);
  }

  private long take(PageTaker means, long most, int youngest, BooleanSupplier enough) {
    exhausted = false;
    long taken = 0;
    // As old as there are enough pages of; those may refuse, and then half that age will do.
    for (int age = ages.ageOf(most, youngest); ; age = Math.max(youngest, age / 2)) {
      taken += sweep(means, most - taken, age, enough);
      if (exhausted || taken >= most || age == youngest || enough.getAsBoolean()) {
        return taken;
      }
    }
  }

  /** Goes round once; how many pages were taken. */
  private long sweep(PageTaker means, long most, int youngest, BooleanSupplier enough) {
    long taken = 0;
    for (long left = frames.pageCount();
        left > 0 && taken < most && !exhausted && !enough.getAsBoolean(); ) {
      int in = region;
      long looked = Math.min(left, frames.endGfn(in) - hand);
      int count = 0;
      long room = Math.min(BATCH, most - taken);
      long gfn = hand;
      for (; gfn < hand + looked && count < room; gfn++) {
        if (isVictim(means, in, gfn, youngest)) {
          victims[count++] = gfn;
        }
      }
      left -= gfn - hand;
      advance(gfn);
      taken += count == 0 ? 0 : take(means, in, count);
    }
    return taken;
  }

  private boolean isVictim(PageTaker means, int in, long gfn, int youngest) {
    int index = index(in, gfn);
    return PageEntry.isPrivate(frames.get(in, gfn))
        && ages.age(in, index) >= youngest
        && !(means.equals(compressor) && ages.isIncompressible(in, index));
  }

  private void advance(long gfn) {
    hand = gfn;
    if (hand == frames.endGfn(region)) {
      region = (region + 1) % frames.regionCount();
      hand = frames.firstGfn(region);
    }
  }

  private long take(PageTaker means, int in, int count) {
    int done = means.take(in, victims, count);
    exhausted = done < 0;
    for (int i = 0; i < count; i++) {
      if (!PageEntry.isPrivate(frames.get(in, victims[i]))) {
        ages.taken(in, index(in, victims[i]));
      }
    }
    return Math.max(0, done);
  }
}
