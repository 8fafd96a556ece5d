package memvisor.host.page;

import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;

/**
 * Which guest pages of one VM lie in frames that one larger page can map, and how they come to lie
 * so again.
 *
 * <p>Nothing has to be split: whatever changes one page of a block (a share, a copy in the swap
 * file, the balloon, the dirty log) makes the block no longer {@linkplain #sizeLog2 one}, and
 * techniques map it in small pages from then on. A block whose pages all have frames of their own
 * again is copied into one of 2 MiB, as Linux' khugepaged does.
 */
public final class LargePages {
  private static final int PAGE_BYTES = 4096;
  private static final int ORDER = 9;
  private static final int BLOCK = 1 << ORDER;

  /** Most pages without contents in a block that is put together: memory spent on a guess. */
  private static final int MOST_UNTOUCHED = BLOCK / 8;

  /** Blocks looked at each time, and put together at most: what a guest waits for is bounded. */
  private static final int LOOKS = 32;

  private static final int COLLAPSES = 1;

  /** Time of the VM's clock between two looks. */
  private static final long PERIOD_NANOS = 50_000_000L;

  private final VmPages vm;
  private final MachineFrames host;
  private final GuestFrames frames;
  private final FramePlacer placer;
  private final Runnable compaction;
  private int region;
  private long cursor;
  private long nextNanos;
  private long collapsed;
  private long pagesCopied;
  private long nanos;
  private long refused;

  /**
   * The large pages of a VM.
   *
   * @param compaction asked for a free block when there is none
   */
  public LargePages(VmPages vm, FramePlacer placer, Runnable compaction) {
    this.vm = vm;
    host = vm.host();
    frames = vm.frames();
    this.placer = placer;
    this.compaction = compaction;
  }

  /**
   * Binary logarithm of the largest page around {@code gfn} that can be mapped as one, up to {@code
   * mostLog2}.
   */
  public int sizeLog2(long gfn, int mostLog2) {
    if (mostLog2 < 21 || !isContiguous(gfn, ORDER)) {
      return 12;
    }
    return mostLog2 >= 30 && isContiguous(gfn, 2 * ORDER) ? 30 : 21;
  }

  private boolean isContiguous(long gfn, int order) {
    long first = gfn & -(1L << order);
    long end = first + (1L << order);
    int in = frames.region(gfn);
    if (in < 0 || first < frames.firstGfn(in) || end > frames.endGfn(in)) {
      return false;
    }
    long expected = vm.withPermission(in, first, frames.get(in, first));
    if (!Backing.isPresent(expected) || (Backing.hpa(expected) >>> 12 & (1L << order) - 1) != 0) {
      return false;
    }
    for (long page = first; page < end; page++, expected += PAGE_BYTES) {
      if (vm.withPermission(in, page, frames.get(in, page)) != expected) {
        return false;
      }
    }
    return true;
  }

  /** How many blocks are mapped as one, and what was done for it. */
  public LargePageCounters counters() {
    long blocks = 0;
    for (int in = 0; in < frames.regionCount(); in++) {
      for (long gfn = firstBlock(in); gfn + BLOCK <= frames.endGfn(in); gfn += BLOCK) {
        blocks += isContiguous(gfn, ORDER) ? 1 : 0;
      }
    }
    return new LargePageCounters(blocks, collapsed, pagesCopied, nanos, refused);
  }

  /** Whether {@link #tidy} would look at something. */
  public boolean isDue(long nowNanos) {
    return placer.isHuge() && nowNanos >= nextNanos;
  }

  /** Looks at a few blocks, and puts one together if it can; the VM stands still. */
  public void tidy(long nowNanos) {
    nextNanos = nowNanos + PERIOD_NANOS;
    look(LOOKS, COLLAPSES);
  }

  /** Puts together every block that can be; how many. The VM stands still. */
  public long collapseAll() {
    region = 0;
    cursor = 0;
    return look(Integer.MAX_VALUE, Integer.MAX_VALUE);
  }

  private long look(int mostLooks, int mostCollapses) {
    long done = 0;
    for (int looks = 0; looks < mostLooks && done < mostCollapses; looks++) {
      cursor = Math.max(cursor, firstBlock(region));
      if (cursor + BLOCK > frames.endGfn(region)) {
        cursor = 0;
        region = (region + 1) % frames.regionCount();
        if (region == 0) {
          return done;
        }
        continue;
      }
      int copies = pagesToCopy(region, cursor);
      if (copies > 0) {
        if (!collapse(region, cursor)) {
          return done;
        }
        pagesCopied += copies;
        done++;
      }
      cursor += BLOCK;
    }
    return done;
  }

  private long firstBlock(int in) {
    return frames.firstGfn(in) + BLOCK - 1 & -BLOCK;
  }

  /** Pages that must be copied to put a block together; 0 if it is one, or cannot become one. */
  private int pagesToCopy(int in, long first) {
    int own = 0;
    int untouched = 0;
    for (long gfn = first; gfn < first + BLOCK; gfn++) {
      long entry = frames.get(in, gfn);
      if (PageEntry.isPrivate(entry)) {
        own++;
      } else if (entry != 0 || ++untouched > MOST_UNTOUCHED) {
        return 0;
      }
    }
    boolean mapsLarge = isContiguous(first, ORDER) || !vm.dirty().mayWriteUnseen(first);
    return mapsLarge || frames.isReadOnly(in) ? 0 : own;
  }

  private boolean collapse(int in, long first) {
    long started = host.ledger().nowNanos();
    long block =
        host.hasRoomFor(BLOCK)
            ? host.allocate(ORDER, vm.vmId(), FrameRole.GUEST_PAGE, TransitionReason.COLLAPSED)
            : -1;
    if (block < 0) {
      refused++;
      compaction.run();
      return false;
    }
    // Announced outside the VM's lock: techniques have locks of their own.
    vm.derived().invalidate(first, BLOCK);
    synchronized (vm) {
      for (int i = 0; i < BLOCK; i++) {
        long old = frames.get(in, first + i);
        long hpa = block + (long) i * PAGE_BYTES;
        if (Backing.isPresent(old)) {
          Hva.copy(host.machine().hva(Backing.hpa(old)), host.machine().hva(hpa), PAGE_BYTES);
        }
        vm.publish(in, first + i, Backing.of(hpa, false), TransitionReason.COLLAPSED, started);
        if (Backing.isPresent(old)) {
          host.free(Backing.hpa(old), vm.vmId(), TransitionReason.COLLAPSED);
        }
      }
    }
    collapsed++;
    nanos += host.ledger().nowNanos() - started;
    return true;
  }
}
