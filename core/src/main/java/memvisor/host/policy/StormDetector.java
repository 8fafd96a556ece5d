package memvisor.host.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Notices swap storms. One begins when a VM waits for memory more than {@code stormPercent} of its
 * time and pages come back that it had given up; it ends when it waits less than half of that.
 */
final class StormDetector {
  /** Pages a second below which waiting has another cause: one cluster of the swap file. */
  private static final long LEAST_REFAULTS = 32;

  private final int stormPercent;
  private final Map<Integer, SwapStorm> storms = new HashMap<>();

  StormDetector(int stormPercent) {
    this.stormPercent = stormPercent;
  }

  /** Looks at all VMs; the storms that just began. */
  List<SwapStorm> observe(HostView view) {
    List<SwapStorm> begun = new ArrayList<>();
    storms.keySet().removeIf(id -> view.vms().stream().noneMatch(vm -> vm.vmId() == id));
    for (VmView vm : view.vms()) {
      double waiting = vm.pressure().full().avg10();
      SwapStorm before = storms.get(vm.vmId());
      boolean begins = waiting >= stormPercent && vm.refaultsPerSecond() >= LEAST_REFAULTS;
      if (before == null && !begins) {
        continue;
      }
      if (!begins && waiting < stormPercent / 2.0) {
        storms.remove(vm.vmId());
        continue;
      }
      long since = before == null ? view.timeNanos() : before.sinceNanos();
      SwapStorm storm = new SwapStorm(vm.vmId(), since, vm.refaultsPerSecond(), waiting);
      storms.put(vm.vmId(), storm);
      if (before == null) {
        begun.add(storm);
      }
    }
    return begun;
  }

  /** The storms of now, by VM. */
  List<SwapStorm> storms() {
    return storms.values().stream()
        .sorted(java.util.Comparator.comparingInt(SwapStorm::vmId))
        .toList();
  }
}
