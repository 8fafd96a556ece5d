package memvisor.host;

/**
 * Finds pages of one VM that were not accessed for a while, as a clock hand sweeps over them, and
 * compresses them or writes them to the swap file.
 *
 * <p>Each sweep ages a page whose accessed flag stayed clear and makes young again one whose flag
 * was set. The VM stands still.
 */
final class ColdPages {
  /** Pages asked about at a time: one leaf table of a nested technique. */
  private static final int BATCH = 512;

  /** Sweeps that find nothing, and take younger pages each, before the means has run dry. */
  private static final int[] MINIMUM_AGES = {2, 1, 1, 0};

  /** In place of a number of pages: until enough frames are free. */
  private static final long UNTIL_ENOUGH = Long.MAX_VALUE;

  private static final byte OLDEST = 100;

  /** Age of a page that would not compress: it is not tried again soon. */
  private static final byte INCOMPRESSIBLE = -16;

  private final VmReclaim pages;
  private final VmMemory vm;
  private final GuestFrames frames;
  private final byte[][] ages;
  private final boolean[] accessed = new boolean[BATCH];
  private final long[] victims = new long[BATCH];
  private final PageCompressor compressor;
  private final PageSwapper swapper;
  private int region;
  private long hand;
  private long accessedThisSweep;
  private volatile long workingSetPages;

  ColdPages(VmReclaim pages) {
    this.pages = pages;
    vm = pages.vm();
    frames = pages.frames();
    ages = new byte[frames.regionCount()][];
    compressor = new PageCompressor(pages, this::leaveAlone);
    swapper = new PageSwapper(pages);
    for (int i = 0; i < ages.length; i++) {
      ages[i] = new byte[(int) (frames.endGfn(i) - frames.firstGfn(i))];
    }
    hand = ages.length == 0 ? 0 : frames.firstGfn(0);
  }

  /** Pages found accessed in the last whole sweep. */
  long workingSetPages() {
    return workingSetPages;
  }

  long compressUntilEnough() {
    return sweep(compressor, UNTIL_ENOUGH, false);
  }

  long swapUntilEnough() {
    return sweep(swapper, UNTIL_ENOUGH, false);
  }

  /** Compresses up to so many pages that were not accessed lately. */
  long compressCold(long count) {
    return sweep(compressor, count, false);
  }

  /** Swaps out up to so many pages that were not accessed lately. */
  long swapCold(long count) {
    return sweep(swapper, count, false);
  }

  long compress(long count) {
    return sweep(compressor, count, true);
  }

  long swapOut(long count) {
    return sweep(swapper, count, true);
  }

  private long sweep(PageTaker means, long most, boolean evenHot) {
    long taken = 0;
    for (int age : MINIMUM_AGES) {
      int minimumAge = evenHot ? Byte.MIN_VALUE : age;
      boolean wrapped = false;
      while (!wrapped && ages.length > 0) {
        if (taken >= most || most == UNTIL_ENOUGH && !evenHot && isEnough()) {
          return taken;
        }
        int in = region;
        long first = hand;
        int count = (int) Math.min(BATCH, frames.endGfn(in) - first);
        int victimCount = age(in, first, count, minimumAge, most - taken);
        int done = victimCount == 0 ? 0 : means.take(in, victims, victimCount);
        if (done < 0) {
          return taken;
        }
        taken += done;
        wrapped = advance(count);
      }
      if (evenHot) {
        return taken;
      }
    }
    return taken;
  }

  private void leaveAlone(int in, long gfn) {
    ages[in][(int) (gfn - frames.firstGfn(in))] = INCOMPRESSIBLE;
  }

  private boolean isEnough() {
    return pages.shared().isEnough();
  }

  private boolean advance(int count) {
    hand += count;
    if (hand < frames.endGfn(region)) {
      return false;
    }
    region = (region + 1) % ages.length;
    hand = frames.firstGfn(region);
    if (region == 0) {
      workingSetPages = accessedThisSweep;
      accessedThisSweep = 0;
    }
    return region == 0;
  }

  /** Ages a run of pages and leaves those old enough in {@link #victims}; how many. */
  private int age(int in, long first, int count, int minimumAge, long most) {
    java.util.Arrays.fill(accessed, false);
    vm.derived().harvestAccessed(first, count, gfn -> accessed[(int) (gfn - first)] = true);
    int found = 0;
    for (int i = 0; i < count; i++) {
      int index = (int) (first - frames.firstGfn(in)) + i;
      if (!PageEntry.isPrivate(frames.get(in, first + i))) {
        ages[in][index] = 0;
        continue;
      }
      if (accessed[i]) {
        accessedThisSweep++;
        ages[in][index] = (byte) Math.min(ages[in][index], 0);
      } else if (ages[in][index] < OLDEST) {
        ages[in][index]++;
      }
      if (ages[in][index] >= minimumAge && found < most) {
        victims[found++] = first + i;
      }
    }
    return found;
  }
}
