package memvisor.host.page;

import java.util.EnumMap;
import java.util.Map;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;

/**
 * Why and when each page of a VM last changed its state, and what such changes cost.
 *
 * <p>Writers hold the VM's lock.
 */
final class PageHistory {
  /** Heap per guest page: reason and time. */
  static final int BYTES_PER_PAGE = 1 + Long.BYTES;

  private static final TransitionReason[] REASONS = TransitionReason.values();

  private final GuestFrames frames;
  private final byte[][] reasons;
  private final long[][] timesNanos;
  private final long[] counts = new long[REASONS.length];
  private final long[] costsNanos = new long[REASONS.length];

  PageHistory(GuestFrames frames) {
    this.frames = frames;
    reasons = new byte[frames.regionCount()][];
    timesNanos = new long[frames.regionCount()][];
    for (int region = 0; region < reasons.length; region++) {
      int pages = (int) (frames.endGfn(region) - frames.firstGfn(region));
      reasons[region] = new byte[pages];
      timesNanos[region] = new long[pages];
    }
  }

  /** Records a transition that took from {@code startedNanos} until {@code nowNanos}. */
  void record(int region, long gfn, TransitionReason reason, long startedNanos, long nowNanos) {
    int index = (int) (gfn - frames.firstGfn(region));
    reasons[region][index] = (byte) reason.ordinal();
    timesNanos[region][index] = nowNanos;
    counts[reason.ordinal()]++;
    costsNanos[reason.ordinal()] += nowNanos - startedNanos;
  }

  TransitionReason reason(int region, long gfn) {
    return REASONS[reasons[region][(int) (gfn - frames.firstGfn(region))]];
  }

  long timeNanos(int region, long gfn) {
    return timesNanos[region][(int) (gfn - frames.firstGfn(region))];
  }

  /** Number and total cost of the transitions by reason; those that never happened left out. */
  Map<TransitionReason, TransitionCost> costs() {
    Map<TransitionReason, TransitionCost> map = new EnumMap<>(TransitionReason.class);
    for (TransitionReason reason : REASONS) {
      if (counts[reason.ordinal()] != 0) {
        map.put(reason, new TransitionCost(counts[reason.ordinal()], costsNanos[reason.ordinal()]));
      }
    }
    return map;
  }
}
