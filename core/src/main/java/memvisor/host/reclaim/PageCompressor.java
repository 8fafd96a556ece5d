package memvisor.host.reclaim;

import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.PageCodec;
import memvisor.host.compress.PoolIntake;
import memvisor.host.dedup.CandidateTable;
import memvisor.host.frames.Ledger;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;

/**
 * Puts pages of one VM into the pool, as its intake decides; those of one repeated word become that
 * word. A page that is kept whole goes there with its frame, which no memory is gained by.
 */
final class PageCompressor implements PageTaker {
  /** Hears of pages that would not compress. */
  @FunctionalInterface
  interface Incompressible {
    void found(int region, long gfn);
  }

  private final VmReclaim pages;
  private final GuestFrames frames;
  private final Incompressible incompressible;
  private final PoolIntake intake;

  PageCompressor(VmReclaim pages, Incompressible incompressible) {
    this.pages = pages;
    this.frames = pages.frames();
    this.incompressible = incompressible;
    intake =
        new PoolIntake(
            pages.shared().pool(),
            pages.machine(),
            pages.codec(),
            pages.shared().options().patch());
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
    long hpa = Backing.hpa(entry);
    long handle =
        intake.take(pages.poolDomain(), hpa, CandidateTable.candidate(pages.vm().vmId(), gfn));
    if (handle == PoolIntake.INCOMPRESSIBLE) {
      incompressible.found(region, gfn);
      return 0;
    }
    if (handle == CompressedPool.REFUSED) {
      return EXHAUSTED;
    }
    boolean whole = handle == hpa;
    TransitionReason why =
        whole
            ? TransitionReason.KEPT_WHOLE
            : pool.isPatch(handle) ? TransitionReason.PATCHED : TransitionReason.COMPRESSED;
    pages.vm().publish(region, gfn, PageEntry.compressed(handle), why, started);
    if (whole) {
      pages.host().transfer(hpa, pages.vm().vmId(), Ledger.NO_VM, FrameRole.COMPRESSED_POOL, why);
      return 0;
    }
    pages.release(entry, why);
    return 1;
  }
}
