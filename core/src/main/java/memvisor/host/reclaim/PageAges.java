package memvisor.host.reclaim;

import java.util.Arrays;
import java.util.BitSet;
import java.util.OptionalLong;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.VmPages;

/**
 * How long ago each page of one VM was last accessed, as the accessed flags of its technique say.
 *
 * <p>A harvest asks for the flags of all pages, and clears them. A page that was accessed since the
 * harvest before has age 0; every other is one harvest older. Flags mean nothing unless the guest
 * ran in between, so that there is at most one harvest per standstill. What devices access does not
 * count. A large leaf has one flag for all of its pages. The VM stands still.
 */
final class PageAges {
  /** Pages asked about at a time: one leaf table of a nested technique. */
  private static final int BATCH = 512;

  private static final int OLDEST = 127;

  /** How far back an access counts for the working set, on the VM's clock. */
  static final long WINDOW_NANOS = 10_000_000_000L;

  /** How often flags are harvested for the working set alone: five times in the window. */
  static final long PERIOD_NANOS = 2_000_000_000L;

  /**
   * The least host time between two harvests for the working set alone: an idle guest on a virtual
   * clock skips seconds in no time, and a harvest takes milliseconds.
   */
  static final long HOST_PERIOD_NANOS = 50_000_000L;

  private final VmPages vm;
  private final GuestFrames frames;
  private final byte[][] ages;

  /** Pages that did not compress, and were not accessed since. */
  private final BitSet[] incompressible;

  private final boolean[] accessed = new boolean[BATCH];
  private final long[] pagesOfAge = new long[OLDEST + 1];
  private final long[] incompressibleOfAge = new long[OLDEST + 1];
  private final long[] harvestNanos = new long[OLDEST + 1];
  private int harvests;

  /** Whether the technique can tell. */
  private boolean known;

  private volatile long workingSetPages = -1;
  private volatile long coldPages;
  private int coldAge = OLDEST + 1;

  PageAges(VmReclaim pages) {
    vm = pages.vm();
    frames = pages.frames();
    ages = new byte[frames.regionCount()][];
    incompressible = new BitSet[ages.length];
    for (int i = 0; i < ages.length; i++) {
      ages[i] = new byte[(int) (frames.endGfn(i) - frames.firstGfn(i))];
      incompressible[i] = new BitSet();
    }
  }

  /** Pages with a frame of their own that were accessed in the window; empty until known. */
  OptionalLong workingSetPages() {
    long pages = workingSetPages;
    return pages < 0 ? OptionalLong.empty() : OptionalLong.of(pages);
  }

  /**
   * Pages left alone for as long as the last {@link #findCold} was told that may still compress.
   */
  long coldPages() {
    return coldPages;
  }

  /** The age of the youngest of these; more than any age if there are none. */
  int coldAge() {
    return coldAge;
  }

  /**
   * Counts the pages that were not accessed since a time on the VM's clock.
   *
   * @param sinceNanos the time
   */
  void findCold(long sinceNanos) {
    int age = 1;
    int known = Math.min(harvests - 1, OLDEST);
    while (age <= known && harvestNanos[(harvests - age) % harvestNanos.length] > sinceNanos) {
      age++;
    }
    coldAge = this.known && age <= known ? age : OLDEST + 1;
    long pages = 0;
    for (int older = coldAge; older <= OLDEST; older++) {
      pages += pagesOfAge[older] - incompressibleOfAge[older];
    }
    coldPages = pages;
  }

  /** When the flags were last harvested, on the VM's clock; never: long ago. */
  long lastHarvestNanos() {
    return harvests == 0 ? Long.MIN_VALUE / 2 : harvestNanos[harvests % harvestNanos.length];
  }

  /** Pages with a frame of their own that are at least so old, as of the last harvest. */
  long pagesOfAge(int youngest) {
    long pages = 0;
    for (int age = youngest; age <= OLDEST; age++) {
      pages += pagesOfAge[age];
    }
    return pages;
  }

  /** The age from which on there are so many pages, but not less than {@code youngest}. */
  int ageOf(long pages, int youngest) {
    long found = 0;
    for (int age = OLDEST; age > youngest; age--) {
      found += pagesOfAge[age];
      if (found >= pages) {
        return age;
      }
    }
    return youngest;
  }

  int age(int region, int index) {
    return ages[region][index];
  }

  boolean isIncompressible(int region, int index) {
    return incompressible[region].get(index);
  }

  /** A page did not compress: it is not tried again before it was accessed. */
  void foundIncompressible(int region, int index) {
    if (!incompressible[region].get(index)) {
      incompressible[region].set(index);
      incompressibleOfAge[ages[region][index]]++;
    }
  }

  /** Pages with a frame of their own that did not compress, and were not accessed since. */
  long incompressiblePages() {
    return Arrays.stream(incompressibleOfAge).sum();
  }

  /** Pages that did not compress are tried again. */
  void forgetIncompressible() {
    Arrays.stream(incompressible).forEach(BitSet::clear);
    Arrays.fill(incompressibleOfAge, 0);
  }

  /** A page lost its frame; when it comes back it is young. */
  void taken(int region, int index) {
    pagesOfAge[ages[region][index]]--;
    forgive(region, index);
    ages[region][index] = 0;
    pagesOfAge[0]++;
  }

  private void forgive(int region, int index) {
    if (incompressible[region].get(index)) {
      incompressible[region].clear(index);
      incompressibleOfAge[ages[region][index]]--;
    }
  }

  /**
   * Asks for all flags.
   *
   * @param nowNanos the VM's clock
   */
  void harvest(long nowNanos) {
    harvests++;
    harvestNanos[harvests % harvestNanos.length] = nowNanos;
    Arrays.fill(pagesOfAge, 0);
    Arrays.fill(incompressibleOfAge, 0);
    known = true;
    for (int region = 0; region < ages.length; region++) {
      for (long first = frames.firstGfn(region); first < frames.endGfn(region); first += BATCH) {
        harvest(region, first, (int) Math.min(BATCH, frames.endGfn(region) - first));
      }
    }
    // What the first harvest finds was accessed at any time before.
    if (known && harvests > 1) {
      workingSetPages = accessedSince(nowNanos - WINDOW_NANOS);
    }
  }

  private void harvest(int region, long first, int count) {
    Arrays.fill(accessed, 0, count, false);
    known &=
        vm.derived().harvestAccessed(first, count, gfn -> accessed[(int) (gfn - first)] = true);
    int offset = (int) (first - frames.firstGfn(region));
    for (int i = 0; i < count; i++) {
      int index = offset + i;
      if (!PageEntry.isPrivate(frames.get(region, first + i))) {
        ages[region][index] = 0;
        continue;
      }
      if (accessed[i]) {
        ages[region][index] = 0;
        incompressible[region].clear(index);
      } else if (ages[region][index] < OLDEST) {
        ages[region][index]++;
      }
      pagesOfAge[ages[region][index]]++;
      incompressibleOfAge[ages[region][index]] += incompressible[region].get(index) ? 1 : 0;
    }
  }

  private long accessedSince(long nanos) {
    long pages = 0;
    int known = Math.min(harvests, OLDEST);
    for (int age = 0; age < known; age++) {
      if (harvestNanos[(harvests - age) % harvestNanos.length] > nanos) {
        pages += pagesOfAge[age];
      }
    }
    return pages;
  }
}
