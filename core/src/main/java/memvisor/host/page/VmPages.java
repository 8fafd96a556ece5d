package memvisor.host.page;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.Backing;
import memvisor.memory.DerivedMappings;
import memvisor.memory.GuestMemoryMap;
import org.jspecify.annotations.Nullable;

/**
 * The pages of one VM: which entry each has and why, what is derived from them, and why one could
 * not be provided.
 *
 * <p>All parts of a VM's memory work on the one object of this class; its monitor is the lock of
 * the VM's pages, which whoever changes an entry holds.
 */
public final class VmPages {
  private static final long PAGE_BYTES = 4096;

  private static final DerivedMappings NOTHING_DERIVED =
      new DerivedMappings() {
        @Override
        public void invalidate(long firstGfn, long count) {}

        @Override
        public void writeProtect(long firstGfn, long count) {}
      };

  private final MachineFrames host;
  private final int vmId;
  private final GuestMemoryMap map;
  private final GuestFrames frames;
  private final @Nullable PageHistory history;
  private final Standstill standstill = new Standstill();
  private final DirtyTracking dirty;
  private volatile DerivedMappings derived = NOTHING_DERIVED;
  private volatile Runnable pressureListener = () -> {};
  private volatile @Nullable String failure;
  private volatile boolean starved;
  private volatile String trustDomain;

  /**
   * The untouched pages of a VM.
   *
   * @param remembers whether it is kept why and when each page last changed
   */
  public VmPages(MachineFrames host, int vmId, GuestMemoryMap map, boolean remembers) {
    this.host = host;
    this.vmId = vmId;
    this.map = map;
    frames = new GuestFrames(map);
    history = remembers ? new PageHistory(frames) : null;
    dirty = new DirtyTracking(this, frames, standstill);
    trustDomain = ownTrustDomain();
  }

  /** The frames of the machine. */
  public MachineFrames host() {
    return host;
  }

  /** The number by which the ledger knows the VM. */
  public int vmId() {
    return vmId;
  }

  /** What the guest has where. */
  public GuestMemoryMap map() {
    return map;
  }

  /** The entry of every page. */
  public GuestFrames frames() {
    return frames;
  }

  /** When pages may move. */
  public Standstill standstill() {
    return standstill;
  }

  /** The dirty log. */
  public DirtyTracking dirty() {
    return dirty;
  }

  /** Number of guest pages in a state. */
  public long count(PageState state) {
    return frames.countsByState()[state.ordinal()];
  }

  /** Whoever derived tables from the pages. */
  public DerivedMappings derived() {
    return derived;
  }

  /** Registers who derives tables from the pages. */
  public void setDerived(DerivedMappings mappings) {
    derived = mappings;
  }

  /** Registers who brings the VM to a block boundary and looks after its memory there. */
  public void setPressureListener(Runnable listener) {
    pressureListener = listener;
  }

  /** Has the VM look after its memory soon. */
  public void tellPressure() {
    pressureListener.run();
  }

  /** With whom the VM shares equal pages. */
  public String trustDomain() {
    return trustDomain;
  }

  /** The domain of this VM alone. */
  public String ownTrustDomain() {
    return "vm " + vmId;
  }

  /**
   * Lets the VM share pages with the others of a trust domain.
   *
   * @throws IllegalStateException if it shares pages already
   */
  public synchronized void joinTrustDomain(String name) {
    if (count(PageState.SHARED) > 0 || count(PageState.COMPRESSED) > 0) {
      throw new IllegalStateException("vm %d shares pages already".formatted(vmId));
    }
    trustDomain = name;
  }

  /** Why the VM cannot go on, once a page of it could not be provided. */
  public Optional<String> failure() {
    return Optional.ofNullable(failure);
  }

  /** Records why a page cannot be provided; 0, the entry of no page. */
  public synchronized long fail(String reason) {
    if (failure == null || starved) {
      failure = reason;
      starved = false;
    }
    return 0;
  }

  /** Records that there was no frame, which may be different later; 0, the entry of no page. */
  public synchronized long starve(String reason) {
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

  /** Publishes a page's new entry and records why it has it; the lock is held. */
  public long publish(int region, long gfn, long entry, TransitionReason why, long startedNanos) {
    frames.set(region, gfn, entry);
    if (history != null) {
      history.record(region, gfn, why, startedNanos, host.ledger().nowNanos());
    }
    return entry;
  }

  /** What a technique may know of an entry: the frame, and whether it may be written unseen. */
  public long withPermission(int region, long gfn, long entry) {
    boolean writable =
        !frames.isReadOnly(region) && !PageEntry.isShared(entry) && dirty.mayWriteUnseen(gfn);
    long backing = PageEntry.backing(entry);
    return writable ? backing | Backing.WRITABLE : backing;
  }

  /** How often pages changed their state for which reason, and what it took. */
  public synchronized Map<TransitionReason, TransitionCost> costs() {
    return history == null ? Map.of() : history.costs();
  }

  /** When a page last changed its state, in nanoseconds since the machine was made; or 0. */
  public long changedNanos(int region, long gfn) {
    return history == null ? 0 : history.timeNanos(region, gfn);
  }

  /** Why a page last changed its state. */
  public TransitionReason reason(int region, long gfn) {
    return history == null ? TransitionReason.INITIAL : history.reason(region, gfn);
  }

  /** Where a page of the guest is, and why. */
  public synchronized PageRecord describe(int region, long gfn) {
    long entry = frames.get(region, gfn);
    OptionalLong hfn =
        Backing.isPresent(entry)
            ? OptionalLong.of(Backing.hpa(entry) >>> 12)
            : OptionalLong.empty();
    return new PageRecord(
        gfn, PageEntry.state(entry), hfn, reason(region, gfn), changedNanos(region, gfn));
  }

  /** Bytes of the Java heap that the entries take, and what is remembered of them. */
  public long heapBytes() {
    long pages = map.sizeBytes() / PAGE_BYTES;
    return pages * (Long.BYTES + (history == null ? 0 : PageHistory.BYTES_PER_PAGE));
  }
}
