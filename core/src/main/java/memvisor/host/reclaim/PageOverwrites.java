package memvisor.host.reclaim;

import java.util.Arrays;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.VmPages;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/**
 * One write of a device to whole pages whose contents were reclaimed. What they held is dropped,
 * not fetched: a guest that reads its disk into pages that the host had swapped out would otherwise
 * wait for the swap file only to lose what comes from there.
 *
 * <p>Frames for all pages are taken before the first page changes; {@link #close} gives those back
 * that were not used. No page moves meanwhile: the caller holds the access lock.
 */
public final class PageOverwrites implements AutoCloseable {
  private static final int PAGE_BYTES = 4096;

  private final VmReclaim reclaim;
  private final VmPages vm;
  private final GuestFrames frames;
  private long[] spares = new long[4];
  private int count;

  /** A write to pages of that VM. */
  public PageOverwrites(VmReclaim reclaim) {
    this.reclaim = reclaim;
    vm = reclaim.vm();
    frames = reclaim.frames();
  }

  /** Takes a frame for one more page; false if none is free, which the VM is told. */
  public boolean prepare() {
    long hpa = reclaim.takeSpare(TransitionReason.OVERWRITTEN);
    if (hpa < 0) {
      return false;
    }
    if (count == spares.length) {
      spares = Arrays.copyOf(spares, 2 * count);
    }
    spares[count++] = hpa;
    return true;
  }

  /**
   * Replaces the contents of a page, unseen until they are there.
   *
   * @return false if it has a frame by now, because a vCPU wanted it: that is to be written
   */
  public boolean put(long gfn, byte[] source, int offset) {
    int region = frames.region(gfn);
    if (count == 0 || !PageEntry.isReclaimed(frames.get(region, gfn))) {
      return false;
    }
    long started = reclaim.host().ledger().nowNanos();
    long hpa = spares[count - 1];
    Hva.write(reclaim.machine().hva(hpa), source, offset, PAGE_BYTES);
    synchronized (vm) {
      long entry = frames.get(region, gfn);
      if (!PageEntry.isReclaimed(entry)) {
        return false;
      }
      vm.dirty().mark(gfn);
      vm.publish(region, gfn, Backing.of(hpa, false), TransitionReason.OVERWRITTEN, started);
      reclaim.release(entry, TransitionReason.OVERWRITTEN);
    }
    count--;
    return true;
  }

  @Override
  public void close() {
    while (count > 0) {
      reclaim.host().free(spares[--count], vm.vmId(), TransitionReason.FREED);
    }
  }
}
