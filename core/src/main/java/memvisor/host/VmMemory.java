package memvisor.host;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import memvisor.host.policy.Pressure;
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

  private static final DerivedMappings NOTHING_DERIVED =
      new DerivedMappings() {
        @Override
        public void invalidate(long firstGfn, long count) {}

        @Override
        public void writeProtect(long firstGfn, long count) {}
      };

  private final HostMemory host;
  private final int vmId;
  private final GuestMemoryMap map;
  private final FramePlacer placer;
  private final GuestFrames frames;
  private final Standstill standstill = new Standstill();
  private final DirtyTracking dirty;
  private final LargePages large;
  private final TableFrames tables;
  private final PageMover mover;
  private final DeviceAccess access;
  private final @Nullable VmReclaim reclaim;
  private final GuestBalloon balloon;
  private volatile DerivedMappings derived = NOTHING_DERIVED;
  private volatile Runnable pressureListener = () -> {};
  private volatile @Nullable String failure;
  private volatile boolean starved;
  private volatile @Nullable BalloonControl balloonControl;
  private volatile String trustDomain;
  private volatile boolean keepsHouse;
  private boolean closed;

  VmMemory(HostMemory host, int vmId, GuestMemoryMap map, Placement placement) {
    this.host = host;
    this.vmId = vmId;
    this.map = map;
    frames = new GuestFrames(map);
    dirty = new DirtyTracking(this, frames, standstill);
    tables = new TableFrames(host, vmId);
    placer = new FramePlacer(host, vmId, map, frames, placement);
    large = new LargePages(this, host, frames, placer);
    mover = new PageMover(this, host, frames, placer);
    trustDomain = ownTrustDomain();
    reclaim =
        placement == Placement.CONTIGUOUS
            ? null
            : host.reclaim()
                .map(shared -> new VmReclaim(this, host, shared, frames, placer))
                .orElse(null);
    access = new DeviceAccess(this, host, new GuestBytes(this, frames), standstill, reclaim);
    balloon = new GuestBalloon(this, host, frames, reclaim);
  }

  /** The number by which the ledger knows this VM: 1 and up. */
  public int vmId() {
    return vmId;
  }

  /** By which the guest gives pages back. */
  public BalloonPort balloon() {
    return balloon;
  }

  /** Frames this VM owns, by role. */
  public FrameCounts usage() {
    return host.ledger().usage(vmId);
  }

  @Override
  public MachineMemory machine() {
    return host.machine();
  }

  @Override
  public GuestMemoryMap map() {
    return map;
  }

  @Override
  public Optional<PartitionSlice> slice() {
    return placer.slice();
  }

  @Override
  public void setDerivedMappings(DerivedMappings derived) {
    this.derived = derived;
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
    this.pressureListener = listener;
  }

  /**
   * Lets this VM share equal pages, and what was made of their contents, with the others of a trust
   * domain; alone in its own at first. Sharing shows in the time that a first write or a first
   * execution takes: a VM can find out what others have.
   *
   * @throws IllegalStateException if it shares pages already
   */
  public synchronized void joinTrustDomain(String name) {
    if (pages(PageState.SHARED) > 0) {
      throw new IllegalStateException("vm %d shares pages already".formatted(vmId));
    }
    trustDomain = name;
  }

  String trustDomain() {
    return trustDomain;
  }

  /** The domain of this VM alone. */
  String ownTrustDomain() {
    return "vm " + vmId;
  }

  /**
   * What all VMs of the trust domain have in common besides pages: one of each kind, which the
   * first to ask makes. It is kept until machine memory is closed, so that VMs which start later
   * find it; that of a VM in a domain of its own, until the VM is closed. Thread-safe.
   */
  public <T> T common(Class<T> kind, Supplier<T> maker) {
    return host.common(trustDomain(), kind, maker);
  }

  DerivedMappings derived() {
    return derived;
  }

  /** Why this VM cannot go on, once a page of it could not be provided. */
  public Optional<String> failure() {
    return Optional.ofNullable(failure);
  }

  /** Records why a page cannot be provided; 0, the entry of no page. */
  synchronized long fail(String reason) {
    if (failure == null || starved) {
      failure = reason;
      starved = false;
    }
    return 0;
  }

  /** Records that there was no frame, which may be different later; 0, the entry of no page. */
  synchronized long starve(String reason) {
    if (failure == null) {
      failure = reason;
      starved = true;
    }
    return 0;
  }

  /** Whether {@link #failure} is only that no frame was free. */
  public boolean isStarved() {
    return starved;
  }

  /** Forgets that no frame was free, for another try. */
  public synchronized void forgetStarvation() {
    if (starved) {
      starved = false;
      failure = null;
    }
  }

  /** Number of guest pages in a state. */
  public long pages(PageState state) {
    return frames.countsByState()[state.ordinal()];
  }

  /**
   * Pages with a frame of their own that the guest accessed in the last ten seconds or so of its
   * clock; 0 where nobody counted yet.
   */
  public long workingSetPages() {
    return workingSet().orElse(0);
  }

  OptionalLong workingSet() {
    return reclaim == null ? OptionalLong.empty() : reclaim.workingSetPages();
  }

  /**
   * Double paging: whole pages that a device read for the guest although the host had compressed
   * them or written them to its swap file. A guest that swaps to its disk causes these: it picks
   * the pages it has not used for longest, and the host has picked them before.
   */
  public long pagedTwice() {
    return reclaim == null ? 0 : reclaim.pagedTwice();
  }

  /** How much of its time this VM waited for memory that had been taken from it. */
  public Pressure pressure() {
    return reclaim == null ? Pressure.NONE : reclaim.pressure().pressure();
  }

  /** Registers the VM's balloon, for the policy. */
  public void setBalloonControl(BalloonControl control) {
    balloonControl = control;
  }

  Optional<BalloonControl> balloonControl() {
    return Optional.ofNullable(balloonControl);
  }

  /** What takes memory back from this VM, if anything does. */
  Optional<VmReclaim> reclaim() {
    return Optional.ofNullable(reclaim);
  }

  /** How often pages changed their state for which reason, and what it took. */
  public Map<TransitionReason, TransitionCost> transitionCosts() {
    return reclaim == null ? Map.of() : reclaim.costs();
  }

  /**
   * Where a guest page is, and why.
   *
   * @throws GuestAddressException if there is no such page
   */
  public synchronized PageRecord describe(long gfn) {
    int region = frames.region(gfn);
    if (region < 0) {
      throw new GuestAddressException(gfn << 12, PAGE_BYTES);
    }
    long entry = frames.get(region, gfn);
    OptionalLong hfn =
        Backing.isPresent(entry)
            ? OptionalLong.of(Backing.hpa(entry) >>> 12)
            : OptionalLong.empty();
    TransitionReason reason =
        reclaim == null ? TransitionReason.INITIAL : reclaim.history().reason(region, gfn);
    long time = reclaim == null ? 0 : reclaim.history().timeNanos(region, gfn);
    return new PageRecord(gfn, PageEntry.state(entry), hfn, reason, time);
  }

  /** Counts all pages; takes a millisecond or so per GiB of guest memory. */
  public synchronized PageCensus census() {
    return PageCensus.of(this, host, frames);
  }

  /** Bytes of the Java heap that the bookkeeping for this VM's pages takes. */
  public long mapBytes() {
    long pages = map.sizeBytes() / PAGE_BYTES;
    return pages * (Long.BYTES + (reclaim == null ? 0 : VmReclaim.BYTES_PER_PAGE));
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
    pressureListener.run();
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
                  vmId, slice().isPresent() ? "a partition is static" : "reclaim is not enabled"));
    }
    long[] result = new long[1];
    standstill.whileStill(
        () -> {
          on.releaseLeft();
          result[0] = action.applyAsLong(on);
        });
    return result[0];
  }

  /** Hands each use of a shared frame by this VM to {@code action}, as an entry. */
  synchronized void forEachSharedUse(LongConsumer action) {
    frames.forEach(
        (region, gfn, entry) -> {
          if (PageEntry.isShared(entry)) {
            action.accept(entry);
          }
        });
    if (reclaim != null) {
      reclaim.forEachLeft(action);
    }
  }

  /** Proves that the states of the pages add up, and agree with the ledger's frames. */
  synchronized void audit() {
    frames.audit();
    long ledger = usage().count(FrameRole.GUEST_PAGE);
    if (pages(PageState.RESIDENT) != ledger) {
      throw new IllegalStateException(
          "vm %d: residentPages=%d guestFrames=%d"
              .formatted(vmId, pages(PageState.RESIDENT), ledger));
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
      return withPermission(region, gfn, entry);
    }
    dirty.mark(gfn);
    return entry | Backing.WRITABLE;
  }

  private void tellIfLow() {
    if (reclaim != null && reclaim.shared().isLow()) {
      tellPressure();
    }
  }

  /** Asks for {@link #housekeep} soon. */
  void tellPressure() {
    pressureListener.run();
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
    return Backing.isPresent(entry) ? withPermission(region, gfn, entry) : Backing.NO_FRAME;
  }

  /** Whether writes to a page need not be noticed by a dirty log. */
  boolean mayWriteUnseen(long gfn) {
    return dirty.mayWriteUnseen(gfn);
  }

  /** Publishes a page's new entry, and why it has it; the lock is held. */
  void publish(int region, long gfn, long entry, TransitionReason why, long startedNanos) {
    if (reclaim == null) {
      frames.set(region, gfn, entry);
    } else {
      reclaim.set(region, gfn, entry, why, startedNanos);
    }
  }

  /** What a technique may know of an entry: the frame, and whether it may be written unseen. */
  long withPermission(int region, long gfn, long entry) {
    boolean writable =
        !frames.isReadOnly(region) && !PageEntry.isShared(entry) && dirty.mayWriteUnseen(gfn);
    long backing = PageEntry.backing(entry);
    return writable ? backing | Backing.WRITABLE : backing;
  }

  private synchronized long populate(int region, long gfn) {
    requireOpen();
    long entry = frames.get(region, gfn);
    return Backing.isPresent(entry) ? entry : placer.populate(region, gfn);
  }

  @Override
  public int contiguousSizeLog2(long gfn) {
    return large.sizeLog2(gfn);
  }

  @Override
  public synchronized long allocateTable(FrameRole role) {
    requireOpen();
    long hpa = tables.allocate(role);
    if (hpa < 0 && reclaim != null) {
      starve(reclaim.shared().exhausted());
    }
    tellIfLow();
    return hpa;
  }

  @Override
  public synchronized void freeTable(long hpa) {
    tables.free(hpa);
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
    dirty.start();
  }

  /** Stops recording; pages become writable again as they are next asked for. */
  public void stopDirtyLog() {
    dirty.stop();
    if (placer.isHuge()) {
      // What was mapped in small pages for the log's sake comes back large.
      standstill.whileStill(
          () ->
              frames.forEachRam(
                  0,
                  Long.MAX_VALUE,
                  (region, first, end) -> derived.invalidate(first, end - first)));
    }
  }

  /**
   * Hands the guest frames written since the last call to {@code action}, ascending, when they are
   * clean and write-protected again and the guest runs on.
   *
   * @throws IllegalStateException if no log is running
   */
  public void collectDirty(LongConsumer action) {
    dirty.collect(action);
  }

  /**
   * Has {@code action} make pages hold zeroes, with nobody looking, and tells all who must know.
   */
  long whileChanging(long firstGfn, long count, LongSupplier action) {
    long[] result = new long[1];
    standstill.whileStill(
        () -> {
          derived.invalidate(firstGfn, count);
          for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
            dirty.mark(gfn);
          }
          synchronized (this) {
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

  private synchronized void closeStopped() {
    if (closed) {
      return;
    }
    closed = true;
    for (int region = 0; region < frames.regionCount(); region++) {
      long first = frames.firstGfn(region);
      derived.invalidate(first, frames.endGfn(region) - first);
    }
    // What the invalidation had techniques free is gone from the set by now; the rest is theirs.
    tables.close();
    if (reclaim == null) {
      frames.drain(entry -> freeFrame(entry));
    } else {
      reclaim.releaseLeft();
      frames.drain(entry -> reclaim.release(entry, TransitionReason.VM_CLOSED));
    }
    placer.close();
    host.reclaim().flatMap(HostReclaim::overcommit).ifPresent(policy -> policy.forget(this));
    host.unregister(this);
  }

  private void freeFrame(long entry) {
    if (Backing.isPresent(entry)) {
      host.free(Backing.hpa(entry), vmId, TransitionReason.VM_CLOSED);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("vm %d is closed".formatted(vmId));
    }
  }
}
