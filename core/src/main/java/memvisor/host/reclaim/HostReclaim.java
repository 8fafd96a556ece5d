package memvisor.host.reclaim;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import memvisor.host.compress.CompressedPool;
import memvisor.host.compress.CompressionCounters;
import memvisor.host.compress.PoolFrames;
import memvisor.host.dedup.DedupCounters;
import memvisor.host.frames.Ledger;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.policy.Decision;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.HostView;
import memvisor.host.policy.MemoryState;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.swap.SwapCounters;
import memvisor.host.swap.SwapFile;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import org.jspecify.annotations.Nullable;

/**
 * What all VMs of one machine share in giving memory back: the shared frames, the compressed pool,
 * the swap file, the policy and its log of decisions.
 */
public final class HostReclaim {
  private static final int LOG_LIMIT = 256;

  private final MachineFrames host;
  private final ReclaimOptions options;
  private final ReclaimPolicy policy;
  private final SharedFrames shared;
  private final CompressedPool pool;
  private final Deque<Decision> log = new ArrayDeque<>();
  private volatile @Nullable Overcommit overcommit;

  /** What the VMs on a machine share; host memory makes one. */
  public HostReclaim(MachineFrames host, ReclaimOptions options) {
    this.host = host;
    this.options = options;
    policy = new ReclaimPolicy(options);
    shared = new SharedFrames(host, options.dedup());
    long limit = host.ledger().frameCount() * options.poolPercent() / 100;
    pool = new CompressedPool(host.machine(), new Frames(), limit);
  }

  /** How it was set up. */
  public ReclaimOptions options() {
    return options;
  }

  /** What deduplication found and saved. */
  public DedupCounters dedup() {
    return shared.counters();
  }

  /** What the compressed pool holds. */
  public CompressionCounters compression() {
    return pool.counters();
  }

  /** What the swap file holds, if there is one. */
  public Optional<SwapCounters> swap() {
    return options.swap().map(SwapFile::counters);
  }

  /** The latest decisions, oldest first. */
  public List<Decision> decisions() {
    synchronized (log) {
      return List.copyOf(log);
    }
  }

  void decided(int vmId, Step step, long pages, String reason) {
    synchronized (log) {
      if (log.size() == LOG_LIMIT) {
        log.removeFirst();
      }
      log.addLast(new Decision(host.ledger().nowNanos(), vmId, step, pages, reason));
    }
  }

  /**
   * Has a policy share the machine among the VMs that it is told of.
   *
   * @throws IllegalStateException if there is one already
   */
  public synchronized Overcommit enablePolicy(PolicyOptions policyOptions) {
    if (overcommit != null) {
      throw new IllegalStateException("a policy is on already");
    }
    Overcommit enabled = new Overcommit(host, this, policyOptions);
    overcommit = enabled;
    return enabled;
  }

  /** The policy that shares the machine among its VMs, if there is one. */
  public Optional<Overcommit> overcommit() {
    return Optional.ofNullable(overcommit);
  }

  /** What can be done without asking a guest. */
  HostView.Means means() {
    long swapFree = swap().map(counters -> counters.slots() - counters.used()).orElse(0L);
    boolean compress = options.compress() && !pool.isFull();
    return new HostView.Means(options.dedup().run(), compress, swapFree);
  }

  ReclaimPolicy policy() {
    return policy;
  }

  SharedFrames shared() {
    return shared;
  }

  /** Forgets what the only VM of a trust domain shared with nobody. */
  void forget(String trustDomain) {
    shared.forget(trustDomain);
    pool.forget(trustDomain);
  }

  CompressedPool pool() {
    return pool;
  }

  /** Whether a VM that takes frames should come to a block boundary and give some back. */
  boolean isLow() {
    return host.freeFrames() < lowFrames();
  }

  /** Whether memory is worth an effort: the policy does not see plenty of it, or it is low. */
  boolean isShort() {
    Overcommit on = overcommit;
    return isLow() || on != null && on.state() != MemoryState.HIGH;
  }

  /** Whether so much is free that a VM need not take from itself any more. */
  boolean isEnough() {
    return host.freeFrames() >= highFrames();
  }

  /** Frames that are missing until it is. */
  long missingFrames() {
    return Math.max(0, highFrames() - host.freeFrames());
  }

  /** A policy acts long before the marks that serve where there is none. */
  private long lowFrames() {
    return overcommit == null
        ? options.lowFrames()
        : Math.max(8, MemoryState.LOW.entersBelow(host.ledger().frameCount()));
  }

  private long highFrames() {
    return overcommit == null
        ? options.highFrames()
        : Math.max(16, MemoryState.LOW.endsAt(host.ledger().frameCount()));
  }

  String because() {
    return "%d frames were free, fewer than %d".formatted(host.freeFrames(), lowFrames());
  }

  /** Why a VM cannot have a frame. */
  String exhausted() {
    String compression =
        options.compress()
            ? "compressed pages take %d frames".formatted(pool.counters().frames())
            : "compression is off";
    String swap =
        swap()
            .map(
                counters ->
                    "swap holds %d of %d pages%s"
                        .formatted(
                            counters.used(),
                            counters.slots(),
                            counters.lastFailure().isEmpty()
                                ? ""
                                : " (" + counters.lastFailure() + ")"))
            .orElse("there is no swap file");
    return "machine memory is exhausted: no frame is free, %s, %s".formatted(compression, swap);
  }

  /**
   * Proves that pages and what they stand on agree.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public void audit(List<VmReclaim> vms) {
    pool.audit();
    Map<Long, Integer> users = new HashMap<>();
    long zero = shared.zeroHpa();
    if (zero >= 0) {
      users.put(zero, 1);
    }
    long compressed = 0;
    long swapped = 0;
    for (VmReclaim vm : vms) {
      vm.forEachSharedUse(entry -> users.merge(Backing.hpa(entry), 1, Integer::sum));
      compressed += vm.vm().count(PageState.COMPRESSED);
      swapped += vm.vm().count(PageState.SWAPPED);
    }
    users.forEach((hpa, count) -> require("users of hpa=" + hpa, host.references(hpa), count));
    long sharedFrames =
        host.ledger().totals().count(FrameRole.SHARED)
            + host.ledger().totals().count(FrameRole.ZERO_PAGE);
    require("shared frames", sharedFrames, users.size());
    require("compressed pages", pool.counters().pages(), compressed);
    require(
        "pool frames",
        host.ledger().totals().count(FrameRole.COMPRESSED_POOL),
        pool.counters().frames());
    require("swap slots", swap().map(SwapCounters::used).orElse(0L), swapped);
  }

  private static void require(String what, long kept, long counted) {
    if (kept != counted) {
      throw new IllegalStateException("%s: kept=%d counted=%d".formatted(what, kept, counted));
    }
  }

  /** The pool's frames belong to no VM: pages of several lie in one. */
  private final class Frames implements PoolFrames {
    @Override
    public long take() {
      return host.allocate(0, Ledger.NO_VM, FrameRole.COMPRESSED_POOL, TransitionReason.POOL_GREW);
    }

    @Override
    public void give(long hpa) {
      host.free(hpa, Ledger.NO_VM, TransitionReason.FREED);
    }
  }
}
