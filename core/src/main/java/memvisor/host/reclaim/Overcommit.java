package memvisor.host.reclaim;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import memvisor.host.frames.MachineFrames;
import memvisor.host.policy.Admission;
import memvisor.host.policy.BalloonSighting;
import memvisor.host.policy.BalloonStanding;
import memvisor.host.policy.BalloonView;
import memvisor.host.policy.BalloonWatch;
import memvisor.host.policy.Decision;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.HostView;
import memvisor.host.policy.MemoryState;
import memvisor.host.policy.Order;
import memvisor.host.policy.OvercommitPolicy;
import memvisor.host.policy.Plan;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.policy.SwapStorm;
import memvisor.host.policy.VmTerms;
import memvisor.host.policy.VmView;

/**
 * Shows the machine to the {@link OvercommitPolicy} and passes its orders on: to balloons at once,
 * to VMs for their next block boundary.
 *
 * <p>The VMs drive it by their housekeeping, whichever comes by when a look is due; anybody else
 * may call {@link #tick} as well. Thread-safe; no call waits for a guest.
 */
public final class Overcommit {
  private static final long STATISTICS_NANOS = 1_000_000_000L;

  private final MachineFrames host;
  private final HostReclaim reclaim;
  private final OvercommitPolicy policy;
  private final Map<Integer, Managed> managed = new TreeMap<>();
  private volatile long nextTickNanos;
  private volatile MemoryState state = MemoryState.HIGH;

  /** A VM and what was seen of it. */
  private static final class Managed {
    final ManagedVm vm;
    VmTerms terms;
    final BalloonWatch watch;
    long refaults;
    long refaultsNanos;
    long refaultsPerSecond;
    long nextStatisticsNanos;

    Managed(ManagedVm vm, VmTerms terms, BalloonWatch watch) {
      this.vm = vm;
      this.terms = terms;
      this.watch = watch;
    }
  }

  Overcommit(MachineFrames host, HostReclaim reclaim, PolicyOptions options) {
    this.host = host;
    this.reclaim = reclaim;
    policy = new OvercommitPolicy(options);
  }

  /** Judges whether a VM can be promised what it asks for, beside those that are managed. */
  public synchronized Admission admit(VmTerms wanted) {
    List<VmTerms> present = managed.values().stream().map(other -> other.terms).toList();
    Admission admission = policy.admit(host.ledger().frameCount(), present, wanted);
    String reason =
        switch (admission) {
          case Admission.Admitted admitted ->
              "it fits: %d pages are promised to nobody".formatted(admitted.uncommittedPages());
          case Admission.Refused refused -> refused.reason();
        };
    reclaim.decided(Decision.MACHINE, Step.ADMISSION, wanted.floorPages(), reason);
    return admission;
  }

  /**
   * Manages a VM by these terms, or by these instead of others, until it is closed. What cannot be
   * reclaimed, such as a partition, counts as promised in full.
   */
  public synchronized void manage(ManagedVm vm, VmTerms wanted) {
    VmTerms terms =
        vm.reclaim().isPresent()
            ? wanted
            : wanted.withLimitPages(wanted.promisedPages()).withFloorPages(wanted.promisedPages());
    vm.reclaim().ifPresent(on -> on.setFloorPages(terms.floorPages()));
    Managed known = managed.get(vm.vmId());
    if (known == null) {
      BalloonWatch watch = new BalloonWatch(policy.options().contract());
      managed.put(vm.vmId(), new Managed(vm, terms, watch));
    } else {
      known.terms = terms;
    }
  }

  /** Forgets a VM. */
  public synchronized void forget(int vmId) {
    managed.remove(vmId);
  }

  /** The terms of a VM. */
  public synchronized Optional<VmTerms> terms(int vmId) {
    return Optional.ofNullable(managed.get(vmId)).map(vm -> vm.terms);
  }

  /** How short of memory the machine was at the last look. */
  public MemoryState state() {
    return state;
  }

  /** The swap storms of the last look. */
  public synchronized List<SwapStorm> storms() {
    return policy.storms();
  }

  /** The knobs. */
  public PolicyOptions options() {
    return policy.options();
  }

  /** Whether {@link #tick} would do something. */
  boolean isDue() {
    return host.ledger().nowNanos() >= nextTickNanos;
  }

  /** Looks at the machine and passes the policy's orders on, if it is time. */
  public void tick() {
    if (isDue()) {
      look();
    }
  }

  private synchronized void look() {
    long now = host.ledger().nowNanos();
    if (now < nextTickNanos) {
      return;
    }
    nextTickNanos = now + policy.options().tickNanos();
    managed.values().forEach(vm -> watch(vm, now));
    Plan plan = policy.plan(view(now));
    state = plan.state();
    managed
        .values()
        .forEach(vm -> vm.vm.reclaim().ifPresent(on -> on.orders().reset(plan.state())));
    plan.orders().forEach(this::pass);
  }

  private void watch(Managed vm, long now) {
    long refaults = vm.vm.reclaim().map(VmReclaim::refaults).orElse(0L);
    long elapsed = now - vm.refaultsNanos;
    if (elapsed >= STATISTICS_NANOS) {
      vm.refaultsPerSecond = (refaults - vm.refaults) * 1_000_000_000L / elapsed;
      vm.refaults = refaults;
      vm.refaultsNanos = now;
    }
    Optional<BalloonControl> control = vm.vm.balloon().get();
    if (control.isEmpty()) {
      return;
    }
    if (now >= vm.nextStatisticsNanos) {
      vm.nextStatisticsNanos = now + STATISTICS_NANOS;
      control.get().requestStatistics();
    }
    BalloonStanding before = vm.watch.standing();
    BalloonSighting seen = control.get().sighting();
    BalloonStanding after =
        vm.watch.observe(now, vm.vm.reclaim().map(VmReclaim::vmNanos).orElse(0L), seen);
    if (after instanceof BalloonStanding.Breached breached && !after.equals(before)) {
      long owed = Math.max(0, seen.targetPages() - seen.balloonedPages());
      reclaim.decided(vm.vm.vmId(), Step.BREACH, owed, breached.reason());
      // What it does not give is not asked of it any longer.
      control.get().setTargetPages(seen.balloonedPages());
    }
  }

  /** The machine and its managed VMs as they are now. */
  public synchronized HostView view() {
    return view(host.ledger().nowNanos());
  }

  private HostView view(long now) {
    List<VmView> vms = new ArrayList<>();
    managed.values().forEach(vm -> vms.add(view(vm)));
    return new HostView(now, host.ledger().frameCount(), host.freeFrames(), reclaim.means(), vms);
  }

  private VmView view(Managed vm) {
    long resident = host.ledger().usage(vm.vm.vmId()).total();
    OptionalLong workingSet = vm.vm.workingSetPages();
    BalloonView balloon =
        vm.vm
            .balloon()
            .get()
            .map(BalloonControl::sighting)
            .map(
                seen ->
                    new BalloonView(
                        vm.watch.standing(),
                        seen.targetPages(),
                        seen.balloonedPages(),
                        seen.availablePages()))
            .orElse(BalloonView.NONE);
    return new VmView(
        vm.vm.vmId(),
        vm.terms,
        resident,
        Math.min(resident, workingSet.orElse(resident)),
        vm.vm.reclaim().map(VmReclaim::coldPages).orElse(0L),
        vm.vm.pressure(),
        vm.refaultsPerSecond,
        balloon);
  }

  private void pass(Order order) {
    switch (order.step()) {
      case STATE, STORM ->
          reclaim.decided(order.vmId(), order.step(), order.pages(), order.reason());
      case MERGE -> managed.keySet().forEach(vmId -> give(vmId, order));
      case COMPRESS, SWAP, TRIM -> give(order.vmId(), order);
      case BALLOON -> resize(order, order.pages());
      case DEFLATE -> resize(order, -order.pages());
      case GIVE_UP, BREACH, ADMISSION ->
          throw new IllegalStateException("the policy ordered " + order);
    }
  }

  private void give(int vmId, Order order) {
    Managed vm = managed.get(vmId);
    if (vm != null) {
      vm.vm.reclaim().ifPresent(on -> on.orders().give(order));
    }
  }

  private void resize(Order order, long change) {
    Managed vm = managed.get(order.vmId());
    Optional<BalloonControl> control = vm == null ? Optional.empty() : vm.vm.balloon().get();
    if (control.isPresent()) {
      control.get().setTargetPages(control.get().sighting().targetPages() + change);
      reclaim.decided(order.vmId(), order.step(), order.pages(), order.reason());
    }
  }
}
