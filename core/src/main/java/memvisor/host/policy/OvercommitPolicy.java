package memvisor.host.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import memvisor.host.policy.Decision.Step;

/**
 * Decides who gives up memory, how much and how, or gets some back.
 *
 * <p>The machine's {@link MemoryState} says what is permitted, {@link MinimumFunding} from whom,
 * and the order is: merge equal pages, ask balloons, compress, swap. A balloon that breaks its
 * {@link BalloonContract} is passed over. Nothing is taken below a VM's floor. Not thread-safe: one
 * caller at a time.
 */
public final class OvercommitPolicy {
  /** Most doublings of the time until a balloon is given back again. */
  private static final int DOUBLINGS = 6;

  private final PolicyOptions options;
  private final MinimumFunding funding;
  private final StormDetector storms;
  private final Trimmer trimmer;
  private final Map<Integer, Calm> calms = new HashMap<>();
  private MemoryState state = MemoryState.HIGH;

  /** When a VM's balloon last changed which way, and how often that was regretted. */
  private static final class Calm {
    long takenNanos = Long.MIN_VALUE;
    long givenNanos = Long.MIN_VALUE;
    int regrets;
  }

  /** A policy that has seen nothing yet. */
  public OvercommitPolicy(PolicyOptions options) {
    this.options = options;
    funding = new MinimumFunding(options.idleTaxPercent());
    storms = new StormDetector(options.stormPercent());
    trimmer = new Trimmer(options.trimAfterNanos());
  }

  /** The knobs. */
  public PolicyOptions options() {
    return options;
  }

  /** How short of memory the machine was at the last look. */
  public MemoryState state() {
    return state;
  }

  /** The swap storms of the last look. */
  public List<SwapStorm> storms() {
    return storms.storms();
  }

  /** Judges whether a VM can be promised what it asks for, beside those present. */
  public Admission admit(long totalFrames, List<VmTerms> present, VmTerms wanted) {
    return Admission.judge(totalFrames, present, wanted);
  }

  /** Looks at the machine and says what is to be done. */
  public Plan plan(HostView view) {
    List<Order> orders = new ArrayList<>();
    calms.keySet().removeIf(id -> view.vms().stream().noneMatch(vm -> vm.vmId() == id));
    MemoryState before = state;
    state = before.next(view.freeFrames(), view.totalFrames());
    if (state != before) {
      orders.add(new Order(Decision.MACHINE, Step.STATE, view.freeFrames(), change(before, view)));
    }
    for (SwapStorm storm : storms.observe(view)) {
      orders.add(
          new Order(
              storm.vmId(),
              Step.STORM,
              storm.refaultsPerSecond(),
              "it waits %.0f%% of its time for pages that were taken from it: its working set does not fit; "
                      .formatted(storm.waitingPercent())
                  + "raise its floor or shares, or stop another VM"));
    }
    long wanted = 0;
    if (state == MemoryState.HIGH) {
      giveBack(view, orders);
    } else {
      wanted = MemoryState.SOFT.endsAt(view.totalFrames()) - view.freeFrames();
      take(view, wanted, orders);
    }
    keepLimits(view, orders);
    trimmer.trim(view, state, orders);
    return new Plan(state, Math.max(0, wanted), orders);
  }

  private String change(MemoryState before, HostView view) {
    return "%.1f%% of the machine is free: from %s to %s"
        .formatted(100.0 * view.freeFrames() / view.totalFrames(), before, state);
  }

  private String because(HostView view) {
    return "only %.1f%% of the machine is free (%s)"
        .formatted(100.0 * view.freeFrames() / view.totalFrames(), state);
  }

  // ---- taking ----------------------------------------------------------------------------------

  private void take(HostView view, long wanted, List<Order> orders) {
    if (view.means().merge()) {
      orders.add(new Order(Decision.MACHINE, Step.MERGE, wanted, because(view)));
    }
    long coming = view.vms().stream().mapToLong(OvercommitPolicy::owed).sum();
    long[] shares = funding.take(view.vms(), Math.max(0, wanted - coming));
    long[] forced = new long[shares.length];
    if (state.compareTo(MemoryState.HARD) >= 0) {
      long atOnce = MemoryState.HARD.endsAt(view.totalFrames()) - view.freeFrames();
      forced = funding.take(view.vms(), Math.max(0, atOnce));
    }
    for (int i = 0; i < shares.length; i++) {
      VmView vm = view.vms().get(i);
      long asked = ask(view, vm, shares[i], orders);
      // What the balloon cannot give is taken from what the VM does not use; more only if it must.
      long mild = Math.min(shares[i] - asked, vm.idlePages());
      force(view, vm, Math.max(forced[i], mild), orders);
    }
  }

  private static long owed(VmView vm) {
    return vm.balloon().standing() instanceof BalloonStanding.Working working
        ? working.owedPages()
        : 0;
  }

  /** Pages by which the balloon may still grow without hurting its guest. */
  private long room(VmView vm) {
    if (!vm.balloon().standing().isUsable()) {
      return 0;
    }
    VmTerms terms = vm.terms();
    long most =
        terms.promisedPages() - Math.max(terms.floorPages(), 1) - vm.balloon().targetPages();
    long margin = options.contract().marginPages(terms.promisedPages());
    // A guest that does not say what it can spare is asked for a little at a time.
    long spare =
        vm.balloon().availablePages().isPresent()
            ? vm.balloon().availablePages().getAsLong() - margin - owed(vm)
            : vm.idlePages() / 4;
    return Math.max(0, Math.min(most, spare));
  }

  private long ask(HostView view, VmView vm, long pages, List<Order> orders) {
    long asked = Math.min(pages, room(vm));
    if (asked > 0) {
      Calm calm = calm(vm);
      if (view.timeNanos() - settleNanos(calm) < calm.givenNanos) {
        calm.regrets = Math.min(DOUBLINGS, calm.regrets + 1);
        calm.givenNanos = Long.MIN_VALUE;
      }
      calm.takenNanos = view.timeNanos();
      orders.add(new Order(vm.vmId(), Step.BALLOON, asked, because(view) + price(vm)));
    }
    return asked;
  }

  private void force(HostView view, VmView vm, long pages, List<Order> orders) {
    if (pages <= 0) {
      return;
    }
    String why =
        because(view)
            + price(vm)
            + switch (vm.balloon().standing()) {
              case BalloonStanding.Good good -> ", and its guest can spare no more";
              case BalloonStanding.Working working -> ", which cannot wait for its balloon";
              case BalloonStanding.Breached breached -> ", and " + breached.reason();
              case BalloonStanding.Absent absent -> ", and " + absent.reason();
            };
    if (view.means().compress()) {
      orders.add(new Order(vm.vmId(), Step.COMPRESS, pages, why));
    } else if (view.means().swapFreePages() > 0) {
      long most = Math.min(pages, view.means().swapFreePages());
      orders.add(new Order(vm.vmId(), Step.SWAP, most, why));
    }
  }

  private static String price(VmView vm) {
    return " and it has %d pages idle of %d, with %d shares"
        .formatted(vm.idlePages(), vm.residentPages(), vm.terms().shares());
  }

  // ---- giving back -----------------------------------------------------------------------------

  private Calm calm(VmView vm) {
    return calms.computeIfAbsent(vm.vmId(), id -> new Calm());
  }

  private long settleNanos(Calm calm) {
    return options.settleNanos() << calm.regrets;
  }

  /** Half of what is free beyond twice the border goes back, to those who wait most for memory. */
  private void giveBack(HostView view, List<Order> orders) {
    long slack = (view.freeFrames() - 2 * MemoryState.SOFT.endsAt(view.totalFrames())) / 2;
    List<VmView> waiting =
        view.vms().stream()
            .filter(vm -> vm.balloon().targetPages() > keptPages(vm) && isCalm(view, vm))
            .sorted(
                java.util.Comparator.comparingDouble(
                    vm -> -(vm.pressure().some().avg10() + 1) * funding.price(vm, 0)))
            .toList();
    for (VmView vm : waiting) {
      long most = vm.balloon().targetPages() - keptPages(vm);
      // What was never taken for the machine's sake was a limit that has been raised since.
      long pages = calm(vm).takenNanos == Long.MIN_VALUE ? most : Math.min(slack, most);
      if (pages > 0) {
        slack -= pages;
        calm(vm).givenNanos = view.timeNanos();
        String why =
            "%.1f%% of the machine is free again"
                .formatted(100.0 * view.freeFrames() / view.totalFrames());
        orders.add(new Order(vm.vmId(), Step.DEFLATE, pages, why));
      }
    }
  }

  private boolean isCalm(HostView view, VmView vm) {
    Calm calm = calm(vm);
    long settled = view.timeNanos() - settleNanos(calm);
    return calm.takenNanos <= settled && calm.givenNanos <= settled;
  }

  /** The size that a balloon is kept at for the VM's limit. */
  private static long keptPages(VmView vm) {
    return vm.terms().promisedPages() - vm.terms().limitPages();
  }

  private static void keepLimits(HostView view, List<Order> orders) {
    for (VmView vm : view.vms()) {
      long missing = keptPages(vm) - vm.balloon().targetPages();
      if (missing > 0 && vm.balloon().standing().isUsable()) {
        orders.add(
            new Order(
                vm.vmId(),
                Step.BALLOON,
                missing,
                "its limit is %d pages".formatted(vm.terms().limitPages())));
      }
    }
  }
}
