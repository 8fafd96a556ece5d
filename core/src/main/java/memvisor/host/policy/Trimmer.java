package memvisor.host.policy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import memvisor.host.policy.Decision.Step;

/**
 * Has pages compressed that their VM has not used for long, before anything is short: an idle guest
 * costs what it uses, not what it once touched.
 *
 * <p>A VM that needs more than a few of its pages back is left alone for as long as a page must be
 * cold, and for twice as long each time that this happens again. Not thread-safe.
 */
final class Trimmer {
  /** Fewer are not worth a standstill. */
  private static final long LEAST_PAGES = 32;

  /** Pages a second that may come back: each costs some tens of microseconds, together 0.2%. */
  private static final long REFAULTS_PER_SECOND = 50;

  private static final int DOUBLINGS = 6;

  private final long afterNanos;
  private final Map<Integer, Rest> rests = new HashMap<>();

  /** How long a VM is left alone, and how often it had to be. */
  private static final class Rest {
    long untilNanos = Long.MIN_VALUE;
    int regrets;
  }

  /** Pages are cold after so long; 0: never. */
  Trimmer(long afterNanos) {
    this.afterNanos = afterNanos;
  }

  /** Adds orders for the VMs that have cold pages. */
  void trim(HostView view, MemoryState state, List<Order> orders) {
    rests.keySet().removeIf(id -> view.vms().stream().noneMatch(vm -> vm.vmId() == id));
    // In need others decide what is taken from whom.
    if (afterNanos == 0 || !view.means().compress() || state.compareTo(MemoryState.SOFT) > 0) {
      return;
    }
    for (VmView vm : view.vms()) {
      long pages = Math.min(vm.coldPages(), vm.abovePages());
      if (!isResting(vm, view.timeNanos()) && pages >= LEAST_PAGES) {
        orders.add(new Order(vm.vmId(), Step.TRIM, pages, because(vm)));
      }
    }
  }

  private String because(VmView vm) {
    return "it has not used %d of its %d pages for %d s"
        .formatted(vm.coldPages(), vm.residentPages(), afterNanos / 1_000_000_000L);
  }

  private boolean isResting(VmView vm, long now) {
    Rest rest = rests.computeIfAbsent(vm.vmId(), id -> new Rest());
    if (now < rest.untilNanos) {
      return true;
    }
    if (vm.refaultsPerSecond() > REFAULTS_PER_SECOND) {
      rest.untilNanos = now + (afterNanos << rest.regrets);
      rest.regrets = Math.min(DOUBLINGS, rest.regrets + 1);
      return true;
    }
    if (rest.regrets > 0 && now >= rest.untilNanos + (afterNanos << rest.regrets)) {
      rest.regrets = 0;
    }
    return false;
  }
}
