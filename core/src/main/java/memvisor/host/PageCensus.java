package memvisor.host;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageRecord;
import memvisor.host.page.PageState;
import memvisor.host.page.VmPages;
import memvisor.host.reclaim.VmReclaim;
import memvisor.memory.Backing;

/**
 * A count of all pages of one VM, with its part of what several VMs stand on.
 *
 * @param pages guest pages by state; they add up to the guest's memory
 * @param sharedFrames its part of the shared frames: one of n users has an n-th
 * @param compressedBytes its part of the bytes in the pool: one of n equal pages has an n-th
 * @param patchedPages of the compressed pages, those that are kept as patches to similar ones
 * @param last by reason, the page that last changed for it
 */
public record PageCensus(
    Map<PageState, Long> pages,
    double sharedFrames,
    long compressedBytes,
    long patchedPages,
    Map<TransitionReason, PageRecord> last) {
  /** Makes the maps unmodifiable. */
  public PageCensus {
    pages = Collections.unmodifiableMap(pages);
    last = Collections.unmodifiableMap(last);
  }

  /** Guest pages in a state. */
  public long pages(PageState state) {
    return pages.getOrDefault(state, 0L);
  }

  /** Counts; the VM's lock is held. */
  static PageCensus of(VmPages vm, Optional<VmReclaim> reclaim) {
    GuestFrames frames = vm.frames();
    Map<PageState, Long> pages = new EnumMap<>(PageState.class);
    long[] counts = frames.countsByState();
    for (PageState state : PageState.values()) {
      pages.put(state, counts[state.ordinal()]);
    }
    double[] shared = new double[1];
    double[] compressed = new double[1];
    long[] patched = new long[1];
    Latest latest = new Latest();
    frames.forEach(
        (region, gfn, entry) -> {
          switch (PageEntry.state(entry)) {
            case SHARED -> shared[0] += 1.0 / vm.host().references(Backing.hpa(entry));
            case COMPRESSED -> {
              compressed[0] += reclaim.orElseThrow().pooledBytes(entry);
              patched[0] += reclaim.orElseThrow().isPatch(entry) ? 1 : 0;
            }
            case UNTOUCHED, RESIDENT, ZERO, BALLOONED, SAME_FILLED, SWAPPED -> {}
          }
          latest.see(vm, region, gfn);
        });
    return new PageCensus(
        pages, shared[0], Math.round(compressed[0]), patched[0], latest.records(vm));
  }

  /** Finds the latest page for each reason without making an object for every page. */
  private static final class Latest {
    private final long[] nanos = new long[TransitionReason.values().length];
    private final long[] gfns = new long[TransitionReason.values().length];

    void see(VmPages vm, int region, long gfn) {
      int reason = vm.reason(region, gfn).ordinal();
      long time = vm.changedNanos(region, gfn);
      if (time > nanos[reason]) {
        nanos[reason] = time;
        gfns[reason] = gfn;
      }
    }

    Map<TransitionReason, PageRecord> records(VmPages vm) {
      Map<TransitionReason, PageRecord> records = new EnumMap<>(TransitionReason.class);
      for (TransitionReason reason : TransitionReason.values()) {
        if (nanos[reason.ordinal()] > 0) {
          long gfn = gfns[reason.ordinal()];
          records.put(reason, vm.describe(vm.frames().region(gfn), gfn));
        }
      }
      return records;
    }
  }
}
