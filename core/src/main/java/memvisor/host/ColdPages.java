package memvisor.host;

import java.lang.foreign.Arena;
import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.PageCodec;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

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

  private static final int PAGE_BYTES = 4096;

  /** Sweeps that find nothing, and take younger pages each, before the means has run dry. */
  private static final int[] MINIMUM_AGES = {2, 1, 1, 0};

  private static final byte OLDEST = 100;

  /** Age of a page that would not compress: it is not tried again soon. */
  private static final byte INCOMPRESSIBLE = -16;

  private final VmReclaim pages;
  private final VmMemory vm;
  private final GuestFrames frames;
  private final byte[][] ages;
  private final boolean[] accessed = new boolean[BATCH];
  private final long[] victims = new long[BATCH];
  private final Arena arena = Arena.ofAuto();
  private final long cluster =
      arena.allocate((long) SwapFile.CLUSTER * PAGE_BYTES, PAGE_BYTES).address();
  private final int[] reserved = new int[1];
  private int region;
  private long hand;
  private long accessedThisSweep;
  private volatile long workingSetPages;

  ColdPages(VmReclaim pages) {
    this.pages = pages;
    vm = pages.vm();
    frames = pages.frames();
    ages = new byte[frames.regionCount()][];
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
    return sweep(this::compressBatch, Long.MAX_VALUE, false);
  }

  long swapUntilEnough() {
    return sweep(this::swapBatch, Long.MAX_VALUE, false);
  }

  long compress(long count) {
    return sweep(this::compressBatch, count, true);
  }

  long swapOut(long count) {
    return sweep(this::swapBatch, count, true);
  }

  /** What is done with {@code victims[0, count)} of a region; pages taken, or -1: stop trying. */
  @FunctionalInterface
  private interface BatchAction {
    int take(int in, int count);
  }

  private long sweep(BatchAction action, long most, boolean evenHot) {
    long taken = 0;
    for (int age : MINIMUM_AGES) {
      int minimumAge = evenHot ? Byte.MIN_VALUE : age;
      boolean wrapped = false;
      while (!wrapped && ages.length > 0) {
        if (taken >= most || !evenHot && isEnough()) {
          return taken;
        }
        int in = region;
        long first = hand;
        int count = (int) Math.min(BATCH, frames.endGfn(in) - first);
        int victimCount = age(in, first, count, minimumAge, most - taken);
        int done = victimCount == 0 ? 0 : action.take(in, victimCount);
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

  private boolean isEnough() {
    return pages.shared().policy().isEnough(pages.host().freeFrames());
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

  /** Drops what techniques derived from the victims, run by run. */
  private void announce(int count) {
    for (int i = 0; i < count; ) {
      int end = i + 1;
      while (end < count && victims[end] == victims[end - 1] + 1) {
        end++;
      }
      vm.derived().invalidate(victims[i], end - i);
      i = end;
    }
  }

  private int compressBatch(int in, int count) {
    announce(count);
    int taken = 0;
    for (int i = 0; i < count; i++) {
      synchronized (vm) {
        int done = compressPage(in, victims[i]);
        if (done < 0) {
          return taken == 0 ? -1 : taken;
        }
        taken += done;
      }
    }
    return taken;
  }

  private int compressPage(int in, long gfn) {
    long entry = frames.get(in, gfn);
    if (!PageEntry.isPrivate(entry)) {
      return 0;
    }
    long started = pages.host().ledger().nowNanos();
    long hva = pages.machine().hva(Backing.hpa(entry));
    if (PageCodec.isSameFilled(hva)) {
      long filled = PageEntry.sameFilled(Hva.readInt(hva));
      pages.set(in, gfn, filled, TransitionReason.SAME_FILLED, started);
      pages.release(entry, TransitionReason.SAME_FILLED);
      return 1;
    }
    CompressedPool pool = pages.shared().pool();
    int length = pages.codec().compress(hva);
    if (length == 0) {
      pool.countIncompressible();
      ages[in][(int) (gfn - frames.firstGfn(in))] = INCOMPRESSIBLE;
      return 0;
    }
    long handle = pool.store(pages.codec().bufferHva(), length, Hva.crc32c(hva, PAGE_BYTES));
    if (handle == CompressedPool.REFUSED) {
      return -1;
    }
    pages.set(in, gfn, PageEntry.compressed(handle), TransitionReason.COMPRESSED, started);
    pages.release(entry, TransitionReason.COMPRESSED);
    return 1;
  }

  private int swapBatch(int in, int count) {
    announce(count);
    int taken = 0;
    for (int i = 0; i < count; ) {
      synchronized (vm) {
        int done = writeCluster(in, i, count);
        if (done < 0) {
          return taken == 0 ? -1 : taken;
        }
        taken += done;
        i += done;
      }
    }
    return taken;
  }

  /** Writes as many victims from {@code from} on as there are neighbouring slots; -1: none. */
  private int writeCluster(int in, int from, int count) {
    SwapFile swap = pages.shared().options().swap().orElseThrow();
    long started = pages.host().ledger().nowNanos();
    int first = swap.reserve(Math.min(SwapFile.CLUSTER, count - from), reserved);
    if (first < 0) {
      return -1;
    }
    int length = reserved[0];
    for (int i = 0; i < length; i++) {
      long entry = frames.get(in, victims[from + i]);
      long hva = pages.machine().hva(Backing.hpa(entry));
      Hva.copy(hva, cluster + (long) i * PAGE_BYTES, PAGE_BYTES);
    }
    if (!swap.write(first, length, cluster)) {
      return -1;
    }
    for (int i = 0; i < length; i++) {
      long entry = frames.get(in, victims[from + i]);
      long swapped = PageEntry.swapped(first + i);
      pages.set(in, victims[from + i], swapped, TransitionReason.SWAPPED_OUT, started);
      pages.release(entry, TransitionReason.SWAPPED_OUT);
      started = pages.host().ledger().nowNanos();
    }
    return length;
  }
}
