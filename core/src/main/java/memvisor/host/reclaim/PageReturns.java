package memvisor.host.reclaim;

import java.lang.foreign.Arena;
import java.util.function.LongConsumer;
import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.PageCodec;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.FramePlacer;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageState;
import memvisor.host.page.VmPages;
import memvisor.host.policy.PressureMeter;
import memvisor.host.swap.SwapFailure;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/** How the pages of one VM that are not plainly resident come back when they are accessed. */
final class PageReturns {
  private static final int PAGE_BYTES = 4096;

  private final VmReclaim pages;
  private final VmPages vm;
  private final MachineFrames host;
  private final HostReclaim reclaim;
  private final GuestFrames frames;
  private final FramePlacer placer;
  private final ScanPace pace;
  private final PressureMeter pressure;
  private final PageCodec codec;
  private final Arena arena = Arena.ofAuto();
  private final long scratch = arena.allocate(PAGE_BYTES, 64).address();
  private final LeftFrames left = new LeftFrames();
  private volatile long refaults;

  /** Whole pages that devices read from where reclaim had put them. The VM's lock. */
  private long pagedTwice;

  /**
   * Returns pages to frames of {@code placer}.
   *
   * @param pace hears of pages that did not stay shared
   * @param pressure measures how long the VM waits
   */
  PageReturns(VmReclaim pages, FramePlacer placer, ScanPace pace, PressureMeter pressure) {
    this.pages = pages;
    vm = pages.vm();
    host = pages.host();
    reclaim = pages.shared();
    frames = pages.frames();
    codec = pages.codec();
    this.placer = placer;
    this.pace = pace;
    this.pressure = pressure;
  }

  /** Pages that came back so far after they had been taken. */
  long refaults() {
    return refaults;
  }

  /** Whole pages that devices read from where reclaim had put them. */
  long pagedTwice() {
    synchronized (vm) {
      return pagedTwice;
    }
  }

  /**
   * Brings a page to a frame, one of its own if it is to be written; its entry, or 0 if the VM
   * failed.
   */
  long fault(int region, long gfn, boolean write) {
    boolean leaves = write && PageEntry.isShared(frames.get(region, gfn));
    // Outside the lock: techniques have locks of their own, and ask for frames under them.
    if (leaves) {
      vm.derived().invalidate(gfn, 1);
    }
    boolean waits = PageEntry.isReclaimed(frames.get(region, gfn));
    if (waits) {
      pressure.began(host.ledger().nowNanos());
    }
    long entry;
    synchronized (vm) {
      entry = faultLocked(region, gfn, write);
    }
    if (waits) {
      pressure.ended(host.ledger().nowNanos());
    }
    if (leaves) {
      vm.derived().invalidate(gfn, 1);
    }
    return entry;
  }

  private long faultLocked(int region, long gfn, boolean write) {
    long entry = frames.get(region, gfn);
    long started = host.ledger().nowNanos();
    return switch (PageEntry.state(entry)) {
      case RESIDENT -> entry;
      case UNTOUCHED, BALLOONED -> populate(region, gfn, write, started);
      case ZERO, SHARED -> write ? unshare(region, gfn, entry, started) : entry;
      case SAME_FILLED -> refill(region, gfn, entry, started);
      case COMPRESSED -> decompress(region, gfn, entry, started);
      case SWAPPED -> swapIn(region, gfn, entry, started);
    };
  }

  private long populate(int region, long gfn, boolean write, long started) {
    boolean zeroServes = !write && reclaim.options().dedup().useZeroPages() && placer.isScattered();
    if (zeroServes) {
      long hpa = reclaim.shared().joinZero();
      if (hpa >= 0) {
        return vm.publish(region, gfn, PageEntry.zero(hpa), TransitionReason.ZERO_READ, started);
      }
    }
    long entry = placer.populate(region, gfn);
    return entry != 0 ? entry : starved();
  }

  private long unshare(int region, long gfn, long entry, long started) {
    pace.unshared();
    long hpa = Backing.hpa(entry);
    boolean zero = PageEntry.state(entry) == PageState.ZERO;
    if (!zero && reclaim.shared().takeBack(vm.trustDomain(), hpa, vm.vmId())) {
      return vm.publish(region, gfn, Backing.of(hpa, false), TransitionReason.UNSHARED, started);
    }
    long own = placer.takeFrame(TransitionReason.UNSHARED);
    if (own < 0) {
      return starved();
    }
    if (!zero) {
      Hva.copy(host.machine().hva(hpa), host.machine().hva(own), PAGE_BYTES);
    }
    left.add(entry);
    return vm.publish(region, gfn, Backing.of(own, false), TransitionReason.UNSHARED, started);
  }

  private long refill(int region, long gfn, long entry, long started) {
    long own = placer.takeFrame(TransitionReason.DECOMPRESSED);
    if (own < 0) {
      return starved();
    }
    fill(host.machine().hva(own), PageEntry.word(entry));
    return vm.publish(region, gfn, Backing.of(own, false), TransitionReason.DECOMPRESSED, started);
  }

  private static void fill(long hva, int word) {
    long pattern = (long) word << 32 | word & 0xFFFF_FFFFL;
    for (int offset = 0; offset < PAGE_BYTES; offset += 8) {
      Hva.writeLong(hva + offset, pattern);
    }
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // The VM's lock is held; others only read.
  private void countRefault() {
    refaults++;
  }

  private long decompress(int region, long gfn, long entry, long started) {
    countRefault();
    long own = placer.takeFrame(TransitionReason.DECOMPRESSED);
    if (own < 0) {
      return starved();
    }
    CompressedPool pool = reclaim.pool();
    if (!pool.load(PageEntry.handle(entry), codec, host.machine().hva(own))) {
      host.free(own, vm.vmId(), TransitionReason.FREED);
      return vm.fail(
          "the compressed page gfn=0x%x of vm %d is damaged: its checksum does not match"
              .formatted(gfn, vm.vmId()));
    }
    pages.release(entry, TransitionReason.DECOMPRESSED);
    return vm.publish(region, gfn, Backing.of(own, false), TransitionReason.DECOMPRESSED, started);
  }

  private long swapIn(int region, long gfn, long entry, long started) {
    countRefault();
    long own = placer.takeFrame(TransitionReason.SWAPPED_IN);
    if (own < 0) {
      return starved();
    }
    SwapFile swap = pages.swapFile();
    try {
      swap.read(PageEntry.slot(entry), host.machine().hva(own));
    } catch (SwapFailure e) {
      host.free(own, vm.vmId(), TransitionReason.FREED);
      return vm.fail(
          "page gfn=0x%x of vm %d is lost: %s".formatted(gfn, vm.vmId(), e.getMessage()));
    }
    swap.free(PageEntry.slot(entry));
    return vm.publish(region, gfn, Backing.of(own, false), TransitionReason.SWAPPED_IN, started);
  }

  /** Takes a frame for a page that gets new contents; its HPA, or -1 if the VM is starved. */
  long takeSpare(TransitionReason reason) {
    long hpa = placer.takeFrame(reason);
    if (hpa < 0) {
      starved();
    }
    return hpa;
  }

  private long starved() {
    return vm.starve(reclaim.exhausted());
  }

  /** Lets go of shared frames left earlier; nobody can be in the middle of reading one. */
  void releaseLeft() {
    synchronized (vm) {
      left.drain(entry -> pages.release(entry, TransitionReason.UNSHARED));
    }
  }

  /** Hands each use of a shared frame by this VM to {@code action}, as an entry. */
  void forEachSharedUse(LongConsumer action) {
    synchronized (vm) {
      frames.forEach(
          (region, gfn, entry) -> {
            if (PageEntry.isShared(entry)) {
              action.accept(entry);
            }
          });
      left.forEach(action);
    }
  }

  /** Copies part of a page that had no frame a moment ago, and brings it to none. */
  void read(long gfn, int inPage, byte[] target, int offset, int lengthBytes) {
    synchronized (vm) {
      long entry = frames.get(frames.region(gfn), gfn);
      boolean kept = PageEntry.isReclaimed(entry);
      pagedTwice += kept && lengthBytes == PAGE_BYTES ? 1 : 0;
      switch (PageEntry.state(entry)) {
        // A vCPU was faster.
        case RESIDENT, ZERO, SHARED -> {
          Hva.read(host.machine().hva(Backing.hpa(entry)) + inPage, target, offset, lengthBytes);
          return;
        }
        case UNTOUCHED, BALLOONED -> fill(scratch, 0);
        case SAME_FILLED -> fill(scratch, PageEntry.word(entry));
        case COMPRESSED -> {
          if (!reclaim.pool().load(PageEntry.handle(entry), codec, scratch)) {
            throw lost(gfn, "the compressed page is damaged");
          }
        }
        case SWAPPED -> {
          try {
            pages.swapFile().read(PageEntry.slot(entry), scratch);
          } catch (SwapFailure e) {
            throw lost(gfn, String.valueOf(e.getMessage()));
          }
        }
      }
      Hva.read(scratch + inPage, target, offset, lengthBytes);
    }
  }

  private HostMemoryException lost(long gfn, String why) {
    String message = "page gfn=0x%x of vm %d is lost: %s".formatted(gfn, vm.vmId(), why);
    vm.fail(message);
    return new HostMemoryException(message);
  }
}
