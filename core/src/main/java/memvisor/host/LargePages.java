package memvisor.host;

import memvisor.memory.Backing;

/** Which guest pages of one VM lie in frames that one larger page can map. */
final class LargePages {
  private static final long PAGE_BYTES = 4096;

  private final VmMemory vm;
  private final GuestFrames frames;

  LargePages(VmMemory vm, GuestFrames frames) {
    this.vm = vm;
    this.frames = frames;
  }

  /** Binary logarithm of the largest page around {@code gfn} that can be mapped as one. */
  int sizeLog2(long gfn) {
    return isContiguous(gfn, 9) ? isContiguous(gfn, 18) ? 30 : 21 : 12;
  }

  private boolean isContiguous(long gfn, int order) {
    long first = gfn & -(1L << order);
    long end = first + (1L << order);
    int region = frames.region(gfn);
    if (region < 0 || first < frames.firstGfn(region) || end > frames.endGfn(region)) {
      return false;
    }
    long expected = vm.withPermission(region, first, frames.get(region, first));
    if (!Backing.isPresent(expected) || (Backing.hpa(expected) >>> 12 & (1L << order) - 1) != 0) {
      return false;
    }
    for (long page = first; page < end; page++, expected += PAGE_BYTES) {
      if (vm.withPermission(region, page, frames.get(region, page)) != expected) {
        return false;
      }
    }
    return true;
  }
}
