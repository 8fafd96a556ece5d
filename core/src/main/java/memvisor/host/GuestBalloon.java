package memvisor.host;

import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageState;
import memvisor.host.page.VmPages;
import memvisor.host.reclaim.VmReclaim;
import memvisor.memory.Backing;
import memvisor.memory.BalloonPort;
import org.jspecify.annotations.Nullable;

/**
 * The pages that one VM gives back by itself.
 *
 * <p>They go by the protocol for moves: the vCPUs stand still, derived mappings are dropped, and
 * only then do the pages lose what they stood on, be it a frame, a share in one, or a compressed or
 * swapped copy.
 */
final class GuestBalloon implements BalloonPort {
  private final VmMemory vm;
  private final VmPages pages;
  private final GuestFrames frames;
  private final @Nullable VmReclaim reclaim;

  GuestBalloon(VmMemory vm, VmPages pages, @Nullable VmReclaim reclaim) {
    this.vm = vm;
    this.pages = pages;
    frames = pages.frames();
    this.reclaim = reclaim;
  }

  @Override
  public long balloonedPages() {
    return vm.pages(PageState.BALLOONED);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException for a contiguous placement, whose pages cannot be given back
   */
  @Override
  public long inflate(long firstGfn, long count) {
    return giveBack(firstGfn, count, PageState.BALLOONED);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException for a contiguous placement, whose pages cannot be given back
   */
  @Override
  public long discard(long firstGfn, long count) {
    return giveBack(firstGfn, count, PageState.UNTOUCHED);
  }

  @Override
  public long deflate(long firstGfn, long count) {
    long[] changed = new long[1];
    frames.forEachRam(
        firstGfn,
        count,
        (region, first, end) -> {
          synchronized (pages) {
            for (long gfn = first; gfn < end; gfn++) {
              if (frames.get(region, gfn) == PageEntry.BALLOONED) {
                frames.set(region, gfn, 0);
                changed[0]++;
              }
            }
          }
        });
    return changed[0];
  }

  private long giveBack(long firstGfn, long count, PageState to) {
    if (vm.slice().isPresent()) {
      throw new IllegalStateException(
          "pages of a partition cannot be given back: gfn=0x%x".formatted(firstGfn));
    }
    long[] changed = new long[1];
    frames.forEachRam(
        firstGfn, count, (region, first, end) -> changed[0] += giveBack(region, first, end, to));
    return changed[0];
  }

  // Stops the vCPUs only if there is something to do: a guest may say the same again and again.
  private long giveBack(int region, long firstGfn, long endGfn, PageState to) {
    long first = firstGfn;
    while (first < endGfn && isGiven(frames.get(region, first), to)) {
      first++;
    }
    if (first == endGfn) {
      return 0;
    }
    long start = first;
    return vm.whileChanging(
        start,
        endGfn - start,
        () -> {
          long pages = 0;
          for (long gfn = start; gfn < endGfn; gfn++) {
            pages += give(region, gfn, to) ? 1 : 0;
          }
          return pages;
        });
  }

  private static boolean isGiven(long entry, PageState to) {
    return entry == PageEntry.BALLOONED || to == PageState.UNTOUCHED && entry == 0;
  }

  private boolean give(int region, long gfn, PageState to) {
    long entry = frames.get(region, gfn);
    if (isGiven(entry, to)) {
      return false;
    }
    boolean balloon = to == PageState.BALLOONED;
    TransitionReason why = balloon ? TransitionReason.BALLOONED : TransitionReason.REPORTED_FREE;
    long given = balloon ? PageEntry.BALLOONED : 0;
    pages.publish(region, gfn, given, why, pages.host().ledger().nowNanos());
    if (reclaim != null) {
      reclaim.release(entry, why);
    } else if (Backing.isPresent(entry)) {
      pages.host().free(Backing.hpa(entry), vm.vmId(), why);
    }
    return true;
  }
}
