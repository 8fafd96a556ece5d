package memvisor.host.reclaim;

import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.PageCodec;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/** Compresses pages of one VM into the pool; those of one repeated word become that word. */
final class PageCompressor implements PageTaker {
  private static final int PAGE_BYTES = 4096;

  /** Hears of pages that would not compress. */
  @FunctionalInterface
  interface Incompressible {
    void found(int region, long gfn);
  }

  private final VmReclaim pages;
  private final GuestFrames frames;
  private final Incompressible incompressible;

  PageCompressor(VmReclaim pages, Incompressible incompressible) {
    this.pages = pages;
    this.frames = pages.frames();
    this.incompressible = incompressible;
  }

  @Override
  public int take(int region, long[] gfns, int count) {
    pages.announce(gfns, count);
    int taken = 0;
    for (int i = 0; i < count; i++) {
      synchronized (pages.vm()) {
        int done = compress(region, gfns[i]);
        if (done < 0 && pages.makeRoomInPool()) {
          done = compress(region, gfns[i]);
        }
        if (done < 0) {
          return taken == 0 ? EXHAUSTED : taken;
        }
        taken += done;
      }
    }
    return taken;
  }

  private int compress(int region, long gfn) {
    long entry = frames.get(region, gfn);
    if (!PageEntry.isPrivate(entry)) {
      return 0;
    }
    long started = pages.host().ledger().nowNanos();
    long hva = pages.machine().hva(Backing.hpa(entry));
    if (PageCodec.isSameFilled(hva)) {
      long filled = PageEntry.sameFilled(Hva.readInt(hva));
      pages.vm().publish(region, gfn, filled, TransitionReason.SAME_FILLED, started);
      pages.release(entry, TransitionReason.SAME_FILLED);
      return 1;
    }
    CompressedPool pool = pages.shared().pool();
    int length = pages.codec().compress(hva);
    if (length == 0) {
      pool.countIncompressible();
      incompressible.found(region, gfn);
      return 0;
    }
    long handle =
        pool.store(
            pool.domain(pages.vm().trustDomain()),
            pages.codec().bufferHva(),
            length,
            Hva.crc32c(hva, PAGE_BYTES));
    if (handle == CompressedPool.REFUSED) {
      return EXHAUSTED;
    }
    pages
        .vm()
        .publish(region, gfn, PageEntry.compressed(handle), TransitionReason.COMPRESSED, started);
    pages.release(entry, TransitionReason.COMPRESSED);
    return 1;
  }
}
