package memvisor.host;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import memvisor.host.frames.FrameCounts;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.FramePlacer;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.LargePageCounters;
import memvisor.host.page.LargePages;
import memvisor.host.page.MoveGate;
import memvisor.host.page.PageEntry;
import memvisor.host.page.PageMover;
import memvisor.host.page.PageRecord;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.page.Standstill;
import memvisor.host.page.VmPages;
import memvisor.host.policy.Pressure;
import memvisor.host.policy.VmTerms;
import memvisor.host.reclaim.BalloonControl;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ManagedVm;
import memvisor.host.reclaim.Overcommit;
import memvisor.host.reclaim.ScanRate;
import memvisor.host.reclaim.VmReclaim;
import memvisor.memory.Backing;
import memvisor.memory.BalloonPort;
import memvisor.memory.DerivedMappings;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestAddressException;
import memvisor.memory.GuestMemory;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MachineMemory;
import memvisor.memory.PartitionSlice;
import memvisor.memory.VmBacking;
import memvisor.memory.WriteObserver;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one VM: which host frame is behind each guest frame.
 *
 * <p>Pages get a frame when they are first touched, except in a contiguous placement. vCPU threads
 * ask through {@link VmBacking}, devices and loaders through {@link GuestMemory}, from any thread.
 * A page moves only while the vCPUs stand still, and no device access is half done (the lock
 * below).
 */
public final class VmMemory implements VmBacking, GuestMemory, AutoCloseable {
  private static final long PAGE_BYTES = 4096;

  private final HostMemory host;
  private final VmPages pages;
  private final FramePlacer placer;
  private final GuestFrames frames;
  private final Standstill standstill;
  private final LargePages large;
  private final TableFrames tables;
  private final PageMover mover;
  private final DeviceAccess access;
  private final @Nullable VmReclaim reclaim;
  private final GuestBalloon balloon;
  private volatile @Nullable BalloonControl balloonControl;
  private volatile boolean keepsHouse;
  private boolean closed;

  VmMemory(
      HostMemory host, MachineFrames machine, int vmId, GuestMemoryMap map, Placement placement) {
    this.host = host;
    Optional<HostReclaim> shared =
        placement == Placement.CONTIGUOUS ? Optional.empty() : host.reclaim();
    pages = new VmPages(machine, vmId, map, shared.isPresent());
    frames = pages.frames();
    standstill = pages.standstill();
    tables = new TableFrames(machine, vmId);
    placer = new FramePlacer(pages, placement);
    large = new LargePages(pages, placer, host::compact);
    mover = new PageMover(pages, placer);
    reclaim = shared.map(on -> new VmReclaim(pages, on, placer)).orElse(null);
    access =
        new DeviceAccess(this, host, new GuestBytes(this, frames, reclaim), standstill, reclaim);
    balloon = new GuestBalloon(this, pages, reclaim);
  }

  /** The number by which the ledger knows this VM: 1 and up. */
  public int vmId() {
    return pages.vmId();
  }

  /** By which the guest gives pages back. */
  public BalloonPort balloon() {
    return balloon;
  }

  /** Frames this VM owns, by role. */
  public FrameCounts usage() {
    return host.ledger().usage(vmId());
  }

  @Override
  public MachineMemory machine() {
    return host.machine();
  }

  @Override
  public GuestMemoryMap map() {
    return pages.map();
  }

  @Override
  public Optional<PartitionSlice> slice() {
    return placer.slice();
  }

  @Override
  public void setDerivedMappings(DerivedMappings derived) {
    pages.setDerived(derived);
  }

  /** Registers who hears of writes that no vCPU made. */
  public void setWriteObserver(WriteObserver observer) {
    access.setObserver(observer);
  }

  /** Registers how a device or loader waits that found no frame; at first it sleeps. */
  public void setFrameWait(FrameWait wait) {
    access.setFrameWait(wait);
  }

  /** Registers who can stop this VM's vCPUs for a move. */
  public void setMoveGate(MoveGate gate) {
    standstill.setGate(gate);
  }

  /** Registers who brings this VM to a block boundary, and {@link #housekeep} there, soon. */
  public void setPressureListener(Runnable listener) {
    pages.setPressureListener(listener);
  }

  /**
   * Lets this VM share equal pages, and what was made of their contents, with the others of a trust
   * domain; alone in its own at first. Sharing shows in the time that a first write or a first
   * execution takes: a VM can find out what others have.
   *
   * @throws IllegalStateException if it shares pages already
   */
  public void joinTrustDomain(String name) {
    pages.joinTrustDomain(name);
  }

  /** The domain of this VM alone. */
  String ownTrustDomain() {
    return pages.ownTrustDomain();
  }

  /**
   * What all VMs of the trust domain have in common besides pages: one of each kind, which the
   * first to ask makes. It is kept until machine memory is closed, so that VMs which start later
   * find it; that of a VM in a domain of its own, until the VM is closed. Thread-safe.
   */
  public <T> T common(Class<T> kind, Supplier<T> maker) {
    return host.common(pages.trustDomain(), kind, maker);
  }

  /** Why this VM cannot go on, once a page of it could not be provided. */
  public Optional<String> failure() {
    return pages.failure();
  }

  /** Whether {@link #failure} is only that no frame was free. */
  public boolean isStarved() {
    return pages.isStarved();
  }

  /** Forgets that no frame was free, for another try. */
  public void forgetStarvation() {
    pages.forgetStarvation();
  }

  /** Number of guest pages in a state. */
  public long pages(PageState state) {
    return pages.count(state);
  }

  /**
   * Pages with a frame of their own that the guest accessed in the last ten seconds or so of its
   * clock; 0 where nobody counted yet.
   */
  public long workingSetPages() {
    return reclaim == null ? 0 : reclaim.workingSetPages().orElse(0);
  }

  /**
   * Double paging: whole pages that a device read for the guest although the host had compressed
   * them or written them to its swap file. A guest that swaps to its disk causes these: it picks
   * the pages it has not used for longest, and the host has picked them before.
   */
  public long pagedTwice() {
    return reclaim == null ? 0 : reclaim.pagedTwice();
  }

  /** How fast equal pages are looked for, if they are, and why so. */
  public Optional<ScanRate> scanRate() {
    return reclaim().flatMap(VmReclaim::scanRate);
  }

  /** How much of its time this VM waited for memory that had been taken from it. */
  public Pressure pressure() {
    return reclaim == null ? Pressure.NONE : reclaim.pressure().pressure();
  }

  /** Registers the VM's balloon, for the policy. */
  public void setBalloonControl(BalloonControl control) {
    balloonControl = control;
  }

  /** Has the host's policy, if there is one, manage this VM by these terms from here on. */
  public void manage(VmTerms terms) {
    policy()
        .ifPresent(
            on ->
                on.manage(
                    new ManagedVm(vmId(), reclaim(), () -> Optional.ofNullable(balloonControl)),
                    terms));
  }

  private Optional<Overcommit> policy() {
    return host.reclaim().flatMap(HostReclaim::overcommit);
  }

  /** What takes memory back from this VM, if anything does. */
  Optional<VmReclaim> reclaim() {
    return Optional.ofNullable(reclaim);
  }

  /** How often pages changed their state for which reason, and what it took. */
  public Map<TransitionReason, TransitionCost> transitionCosts() {
    return pages.costs();
  }

  /**
   * Where a guest page is, and why.
   *
   * @throws GuestAddressException if there is no such page
   */
  public PageRecord describe(long gfn) {
    int region = frames.region(gfn);
    if (region < 0) {
      throw new GuestAddressException(gfn << 12, PAGE_BYTES);
    }
    return pages.describe(region, gfn);
  }

  /** Counts all pages; takes a millisecond or so per GiB of guest memory. */
  public PageCensus census() {
    synchronized (pages) {
      return PageCensus.of(pages, reclaim());
    }
  }

  /** Bytes of the Java heap that the bookkeeping for this VM's pages takes. */
  public long mapBytes() {
    return pages.heapBytes() + (reclaim == null ? 0 : reclaim.heapBytes());
  }

  /**
   * Deduplicates a little and gives memory back if the machine runs short of it. The calling thread
   * runs the VM's vCPU, which stands at a block boundary.
   *
   * @param nowNanos the VM's clock
   */
  public void housekeep(long nowNanos) {
    keepsHouse = true;
    if (reclaim != null) {
      reclaim.look(nowNanos);
      if (reclaim.isDue(nowNanos)) {
        standstill.still(() -> reclaim.housekeep(nowNanos));
      }
    }
    if (mover.isDue()) {
      standstill.still(mover::evacuate);
    }
    if (large.isDue(nowNanos)) {
      standstill.still(() -> large.tidy(nowNanos));
    }
  }

  /** Whether this VM moves its pages out of the way when it is asked to. */
  boolean isMovable() {
    return keepsHouse && slice().isEmpty();
  }

  /** Has {@link #housekeep} called soon. */
  void askForHousekeeping() {
    pages.tellPressure();
  }

  /** The large pages of a VM with {@link Placement#HUGE}. */
  public LargePageCounters largePages() {
    return large.counters();
  }

  /**
   * Puts every block of 2 MiB whose pages all have frames into frames that one large page can map.
   *
   * @return blocks put together; those for which no machine memory was free are left
   */
  public long collapseLargePages() {
    long[] blocks = new long[1];
    standstill.whileStill(() -> blocks[0] = large.collapseAll());
    return blocks[0];
  }

  /** Scans all pages for equal ones once; pages merged. */
  public long scanForEqualPages() {
    return reclaiming(VmReclaim::scanAll);
  }

  /** Compresses up to {@code pages} pages, cold or not; pages compressed. */
  public long compressPages(long pages) {
    return reclaiming(reclaiming -> reclaiming.compress(pages));
  }

  /** Writes up to {@code pages} pages to the swap file, cold or not; pages written. */
  public long swapOutPages(long pages) {
    return reclaiming(reclaiming -> reclaiming.swapOut(pages));
  }

  private long reclaiming(ToLongFunction<VmReclaim> action) {
    VmReclaim on = reclaim;
    if (on == null) {
      throw new IllegalStateException(
          "memory of vm %d cannot be reclaimed: %s"
              .formatted(
                  vmId(),
                  slice().isPresent() ? "a partition is static" : "reclaim is not enabled"));
    }
    long[] result = new long[1];
    standstill.whileStill(
        () -> {
          on.releaseLeft();
          result[0] = action.applyAsLong(on);
        });
    return result[0];
  }

  /** Proves that the states of the pages add up, and agree with the ledger's frames. */
  void audit() {
    synchronized (pages) {
      frames.audit();
      long ledger = usage().count(FrameRole.GUEST_PAGE);
      if (pages(PageState.RESIDENT) != ledger) {
        throw new IllegalStateException(
            "vm %d: residentPages=%d guestFrames=%d"
                .formatted(vmId(), pages(PageState.RESIDENT), ledger));
      }
    }
  }

  @Override
  public long frame(long gfn, boolean write) {
    int region = frames.region(gfn);
    if (region < 0) {
      return Backing.NOT_MEMORY;
    }
    if (write && frames.isReadOnly(region)) {
      return Backing.READ_ONLY;
    }
    long entry = frames.get(region, gfn);
    if (!Backing.isPresent(entry) || write && PageEntry.isShared(entry)) {
      entry = reclaim == null ? populate(region, gfn) : reclaim.fault(region, gfn, write);
      if (entry == 0) {
        return Backing.NO_FRAME;
      }
      tellIfLow();
    }
    if (!write) {
      return pages.withPermission(region, gfn, entry);
    }
    pages.dirty().mark(gfn);
    return entry | Backing.WRITABLE;
  }

  private void tellIfLow() {
    if (reclaim != null && reclaim.isLow()) {
      pages.tellPressure();
    }
  }

  /** Copies part of a page that has no frame, wherever its contents are. */
  void readWithoutFrame(long gfn, int inPage, byte[] target, int offset, int lengthBytes) {
    if (reclaim != null) {
      reclaim.read(gfn, inPage, target, offset, lengthBytes);
    } else {
      Arrays.fill(target, offset, offset + lengthBytes, (byte) 0);
    }
  }

  @Override
  public long peek(long gfn) {
    int region = frames.region(gfn);
    if (region < 0) {
      return Backing.NOT_MEMORY;
    }
    long entry = frames.get(region, gfn);
    return Backing.isPresent(entry) ? pages.withPermission(region, gfn, entry) : Backing.NO_FRAME;
  }

  private long populate(int region, long gfn) {
    synchronized (pages) {
      requireOpen();
      long entry = frames.get(region, gfn);
      return Backing.isPresent(entry) ? entry : placer.populate(region, gfn);
    }
  }

  @Override
  public int contiguousSizeLog2(long gfn, int mostLog2) {
    return large.sizeLog2(gfn, mostLog2);
  }

  @Override
  public long allocateTable(FrameRole role) {
    long hpa;
    synchronized (pages) {
      requireOpen();
      hpa = tables.allocate(role);
      if (hpa < 0 && reclaim != null) {
        pages.starve(reclaim.exhaustion());
      }
    }
    tellIfLow();
    return hpa;
  }

  @Override
  public void freeTable(long hpa) {
    synchronized (pages) {
      tables.free(hpa);
    }
  }

  /**
   * Moves a guest page to another frame; the old one is free and zeroed afterwards.
   *
   * <p>Announce, have every derived entry dropped, copy, change owner: all while the vCPUs stand
   * still.
   *
   * @return whether it moved: a page without a frame of its own, or a full machine, leaves all as
   *     it was
   * @throws IllegalStateException for a contiguous placement, whose pages cannot move
   */
  public boolean movePage(long gfn) {
    if (slice().isPresent()) {
      throw new IllegalStateException("pages of a partition do not move: gfn=0x%x".formatted(gfn));
    }
    boolean[] moved = new boolean[1];
    standstill.whileStill(() -> moved[0] = mover.move(gfn));
    return moved[0];
  }

  /** Starts to record written pages: from here on every page is clean and write-protected. */
  public void startDirtyLog() {
    pages.dirty().start();
  }

  /** Stops recording; pages become writable again as they are next asked for. */
  public void stopDirtyLog() {
    pages.dirty().stop();
    if (placer.isHuge()) {
      // What was mapped in small pages for the log's sake comes back large.
      standstill.whileStill(
          () ->
              frames.forEachRam(
                  0,
                  Long.MAX_VALUE,
                  (region, first, end) -> pages.derived().invalidate(first, end - first)));
    }
  }

  /**
   * Hands the guest frames written since the last call to {@code action}, ascending, when they are
   * clean and write-protected again and the guest runs on.
   *
   * @throws IllegalStateException if no log is running
   */
  public void collectDirty(LongConsumer action) {
    pages.dirty().collect(action);
  }

  /**
   * Has {@code action} make pages hold zeroes, with nobody looking, and tells all who must know.
   */
  long whileChanging(long firstGfn, long count, LongSupplier action) {
    long[] result = new long[1];
    standstill.whileStill(
        () -> {
          pages.derived().invalidate(firstGfn, count);
          for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
            pages.dirty().mark(gfn);
          }
          synchronized (pages) {
            result[0] = action.getAsLong();
          }
        });
    // A guest that gives its own page tables away finds them full of zeroes.
    access.observer().written(firstGfn << 12, count << 12);
    return result[0];
  }

  @Override
  public void read(long gpa, byte[] target, int offset, int lengthBytes) {
    access.read(gpa, target, offset, lengthBytes);
  }

  @Override
  public void write(long gpa, byte[] source, int offset, int lengthBytes) {
    access.write(gpa, source, offset, lengthBytes);
  }

  @Override
  public void load(long gpa, byte[] source, int offset, int lengthBytes) {
    access.load(gpa, source, offset, lengthBytes);
  }

  @Override
  public long readValue(long gpa, int sizeBytes) {
    return access.readValue(gpa, sizeBytes);
  }

  @Override
  public void writeValue(long gpa, int sizeBytes, long value) {
    access.writeValue(gpa, sizeBytes, value);
  }

  /** Gives every frame back, tables included. No vCPU or device of the VM may run any more. */
  @Override
  public void close() {
    standstill.still(this::closeStopped);
  }

  private void closeStopped() {
    synchronized (pages) {
      if (!closed) {
        closed = true;
        giveBackAll();
      }
    }
  }

  private void giveBackAll() {
    for (int region = 0; region < frames.regionCount(); region++) {
      long first = frames.firstGfn(region);
      pages.derived().invalidate(first, frames.endGfn(region) - first);
    }
    // What the invalidation had techniques free is gone from the set by now; the rest is theirs.
    tables.close();
    if (reclaim == null) {
      frames.drain(entry -> freeFrame(entry));
    } else {
      reclaim.releaseLeft();
      frames.drain(entry -> reclaim.release(entry, TransitionReason.VM_CLOSED));
      reclaim.leaveTrustDomain();
    }
    placer.close();
    policy().ifPresent(on -> on.forget(vmId()));
    host.unregister(this);
  }

  private void freeFrame(long entry) {
    if (Backing.isPresent(entry)) {
      pages.host().free(Backing.hpa(entry), vmId(), TransitionReason.VM_CLOSED);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("vm %d is closed".formatted(vmId()));
    }
  }
}
