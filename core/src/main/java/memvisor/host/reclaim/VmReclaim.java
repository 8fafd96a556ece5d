package memvisor.host.reclaim;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.PageCodec;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.FramePlacer;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.VmPages;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.PressureMeter;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * The pages of one VM that are not plainly resident: how they come back when they are accessed, and
 * how they are given up.
 *
 * <p>Its {@link PageReturns} brings pages back; its {@link DedupScanner} and {@link ColdPages} take
 * them away while the VM stands still. Entries change under the VM's lock.
 */
public final class VmReclaim {
  /** Heap per guest page: the last hash, the age. */
  private static final int BYTES_PER_PAGE = Integer.BYTES + 1;

  /** How often all pages are looked at for zeroes, on the VM's clock. */
  private static final long ZERO_SCAN_NANOS = 2_000_000_000L;

  private final VmPages vm;
  private final MachineFrames host;
  private final HostReclaim reclaim;
  private final GuestFrames frames;
  private final PageCodec codec = new PageCodec();
  private final ScanPace pace;
  private final DedupScanner scanner;
  private final PageReturns returns;
  private final PageSwapper swapper;
  private final PoolWriteback writeback;
  private final PageAges ages;
  private final AgeSampler sampler;
  private final ColdPages cold;
  private final PolicyOrders orders;
  private long nextScanNanos;
  private long nextZeroScanNanos;
  private volatile long floorPages;
  private boolean gaveUp;

  /** A VM has one processor here: when it waits, all of it waits. */
  private final PressureMeter pressure = new PressureMeter(1);

  private volatile long vmNanos;

  /** The domain of the pool that was asked for last. */
  private volatile CompressedPool.@Nullable Domain poolDomain;

  /**
   * Takes pages of a VM by what {@code reclaim} shares, to bring them back to frames of {@code
   * placer}.
   */
  public VmReclaim(VmPages vm, HostReclaim reclaim, FramePlacer placer) {
    this.vm = vm;
    host = vm.host();
    this.reclaim = reclaim;
    frames = vm.frames();
    pace = new ScanPace(reclaim.options().dedup());
    scanner = new DedupScanner(this, pace);
    returns = new PageReturns(this, placer, pace, pressure);
    swapper = new PageSwapper(this);
    writeback = new PoolWriteback(this, swapper);
    ages = new PageAges(this);
    sampler = new AgeSampler(this, ages);
    cold = new ColdPages(this, ages);
    orders = new PolicyOrders(this);
  }

  /** Bytes of the Java heap that the bookkeeping takes. */
  public long heapBytes() {
    return frames.pageCount() * BYTES_PER_PAGE;
  }

  /** Whether the machine is short of frames: the VM should give some back. */
  public boolean isLow() {
    return reclaim.isLow();
  }

  /** Why the machine has no frame. */
  public String exhaustion() {
    return reclaim.exhausted();
  }

  /** A compressed page's part of the bytes in the pool: one of n equal pages has an n-th. */
  public double pooledBytes(long entry) {
    return reclaim.pool().partBytes(PageEntry.handle(entry));
  }

  /** Whether a compressed page is kept as a patch to a similar one. */
  public boolean isPatch(long entry) {
    return reclaim.pool().isPatch(PageEntry.handle(entry));
  }

  /** Forgets the trust domain of a VM that was alone in it, and has given all its pages back. */
  public void leaveTrustDomain() {
    if (vm.trustDomain().equals(vm.ownTrustDomain())) {
      reclaim.forget(vm.trustDomain());
    }
  }

  VmPages vm() {
    return vm;
  }

  /** Those with whom the VM shares what is compressed. */
  CompressedPool.Domain poolDomain() {
    String name = vm.trustDomain();
    CompressedPool.Domain known = poolDomain;
    if (known == null || !known.name().equals(name)) {
      known = reclaim.pool().domain(name);
      poolDomain = known;
    }
    return known;
  }

  MachineFrames host() {
    return host;
  }

  HostReclaim shared() {
    return reclaim;
  }

  GuestFrames frames() {
    return frames;
  }

  PageCodec codec() {
    return codec;
  }

  MachineMemory machine() {
    return host.machine();
  }

  /** Pages that were accessed lately; empty until known. */
  public OptionalLong workingSetPages() {
    return ages.workingSetPages();
  }

  /** Pages left alone for so long that the policy may have them compressed without need. */
  long coldPages() {
    return ages.coldPages();
  }

  /** The age of the youngest of these. */
  int coldAge() {
    return ages.coldAge();
  }

  /** Host frames that are never taken from this VM by force. */
  void setFloorPages(long pages) {
    floorPages = pages;
  }

  /** Host frames that may be taken by force now. */
  long abovePages() {
    return Math.max(0, host.ledger().usage(vm.vmId()).total() - floorPages);
  }

  /** Measures how long the VM waits for its memory. */
  public PressureMeter pressure() {
    return pressure;
  }

  /** The VM's clock when it last looked after its memory. */
  public long vmNanos() {
    return vmNanos;
  }

  /** Whole pages that devices read from where reclaim had put them. */
  public long pagedTwice() {
    return returns.pagedTwice();
  }

  /** Pages that came back so far after they had been taken. */
  long refaults() {
    return returns.refaults();
  }

  /**
   * Brings a page to a frame, one of its own if it is to be written; its entry, or 0 if the VM
   * failed.
   */
  public long fault(int region, long gfn, boolean write) {
    return returns.fault(region, gfn, write);
  }

  /** Copies part of a page that had no frame a moment ago, and brings it to none. */
  public void read(long gfn, int inPage, byte[] target, int offset, int lengthBytes) {
    returns.read(gfn, inPage, target, offset, lengthBytes);
  }

  /** Takes a frame for a page that gets new contents; its HPA, or -1 if the VM is starved. */
  long takeSpare(TransitionReason reason) {
    return returns.takeSpare(reason);
  }

  /** Lets go of shared frames left earlier; nobody can be in the middle of reading one. */
  public void releaseLeft() {
    returns.releaseLeft();
  }

  /** Hands each use of a shared frame by this VM to {@code action}, as an entry. */
  void forEachSharedUse(LongConsumer action) {
    returns.forEachSharedUse(action);
  }

  SwapFile swapFile() {
    return reclaim.options().swap().orElseThrow();
  }

  /** Has everything derived from some pages, ascending, dropped: run by run; VM still. */
  void announce(long[] gfns, int count) {
    for (int i = 0; i < count; ) {
      int end = i + 1;
      while (end < count && gfns[end] == gfns[end - 1] + 1) {
        end++;
      }
      vm.derived().invalidate(gfns[i], end - i);
      i = end;
    }
  }

  PageSwapper swapper() {
    return swapper;
  }

  /** Writes compressed pages to the swap file, if there is one; whether any. VM still. */
  boolean makeRoomInPool() {
    return writeback.run() > 0;
  }

  /** Gives back whatever an entry stands on. */
  public void release(long entry, TransitionReason reason) {
    switch (PageEntry.state(entry)) {
      case UNTOUCHED, BALLOONED, SAME_FILLED -> {}
      case RESIDENT -> host.free(Backing.hpa(entry), vm.vmId(), reason);
      case ZERO, SHARED -> reclaim.shared().leave(vm.trustDomain(), Backing.hpa(entry), reason);
      case COMPRESSED -> reclaim.pool().free(poolDomain(), PageEntry.handle(entry));
      case SWAPPED -> swapFile().free(PageEntry.slot(entry));
    }
  }

  /** Whether {@link #housekeep} has anything to do. */
  public boolean isDue(long nowNanos) {
    return reclaim.isLow()
        || orders.isPending()
        || sampler.isDue(nowNanos)
        || reclaim.options().dedup().run() && nowNanos >= nextScanNanos;
  }

  /** Keeps the VM's averages, and lets the policy look at the machine; holds no lock. */
  public void look(long nowNanos) {
    vmNanos = nowNanos;
    pressure.update(nowNanos);
    reclaim.overcommit().ifPresent(Overcommit::tick);
  }

  /** How fast equal pages are looked for, if they are. */
  public Optional<ScanRate> scanRate() {
    synchronized (vm) {
      return reclaim.options().dedup().run() ? Optional.of(pace.rate()) : Optional.empty();
    }
  }

  /** What the policy wants of this VM. */
  PolicyOrders orders() {
    return orders;
  }

  /** A batch of deduplication if it is time, and what it takes until enough is free; VM still. */
  public void housekeep(long nowNanos) {
    releaseLeft();
    if (reclaim.isShort()) {
      pace.hurry();
    }
    if (reclaim.options().dedup().run() && nowNanos >= nextScanNanos) {
      scanner.scan(reclaim.options().dedup().pagesToScan());
      nextScanNanos = nowNanos + pace.pauseNanos();
    }
    sampler.sample(nowNanos);
    if (orders.isPending() || reclaim.isLow()) {
      pressure.began(host.ledger().nowNanos());
      orders.obey(nowNanos);
      if (reclaim.isLow()) {
        balance(nowNanos);
      }
      pressure.ended(host.ledger().nowNanos());
    }
  }

  /**
   * Gives back what it can for a device or loader that found no frame; VM still. Looks for equal
   * pages whatever the VM's clock says, which stands still until the guest runs.
   */
  public void makeRoom() {
    if (reclaim.options().dedup().run()) {
      scanner.scan(reclaim.options().dedup().pagesToScan());
    }
    housekeep(vmNanos);
  }

  /** Makes sure that so many pages are known to be cold, if they are; once per standstill. */
  void findCold(long pages, long nowNanos) {
    sampler.findCold(pages, nowNanos);
  }

  /**
   * Merges every page of zeroes, if that was not tried a moment ago: it looks at all pages.
   *
   * @return pages merged
   */
  long mergeZeroes(long nowNanos) {
    if (nowNanos < nextZeroScanNanos) {
      return 0;
    }
    nextZeroScanNanos = nowNanos + ZERO_SCAN_NANOS;
    return scanner.mergeZeroes();
  }

  /**
   * Takes pages by ever harder means until enough frames are free: cold pages by every means, then
   * any pages. A VM at its floor keeps what it has; others are asked for theirs.
   */
  private void balance(long nowNanos) {
    long most = abovePages();
    if (most == 0) {
      return;
    }
    String reason = reclaim.because();
    long taken =
        reclaim.options().dedup().run() ? record(Step.MERGE, mergeZeroes(nowNanos), reason) : 0;
    findCold(Math.min(most, reclaim.missingFrames()), nowNanos);
    for (int youngest = ColdPages.COLD; youngest >= ColdPages.ANY; youngest--) {
      for (Step step = reclaim.policy().first();
          step != Step.GIVE_UP;
          step = reclaim.policy().next(step)) {
        taken += take(step, most - taken, youngest, reason, reclaim::isEnough);
      }
    }
    boolean dry = !reclaim.isEnough() && taken < most;
    if (dry && !gaveUp) {
      reclaim.decided(vm.vmId(), Step.GIVE_UP, taken, reason);
    }
    gaveUp = dry;
  }

  /** Takes pages by one means, and records it; how many. */
  long take(Step step, long most, int youngest, String reason, BooleanSupplier enough) {
    long pages =
        step == Step.COMPRESS
            ? cold.compress(most, youngest, enough)
            : cold.swapOut(most, youngest, enough);
    return record(step, pages, reason);
  }

  long record(Step step, long pages, String reason) {
    if (pages > 0) {
      reclaim.decided(vm.vmId(), step, pages, reason);
    }
    return pages;
  }

  /** Scans all pages of the VM once; VM still. */
  public long scanAll() {
    return scanner.scanAll();
  }

  /** Compresses up to that many pages of at least that age; VM still. */
  long compressCold(long pages, int youngest) {
    return cold.compress(pages, youngest, () -> false);
  }

  /** Compresses up to that many pages, cold or not; VM still. */
  public long compress(long pages) {
    return cold.compress(pages, ColdPages.ANY, () -> false);
  }

  /** Writes up to that many pages to the swap file, cold or not; VM still. */
  public long swapOut(long pages) {
    return cold.swapOut(pages, ColdPages.ANY, () -> false);
  }
}
