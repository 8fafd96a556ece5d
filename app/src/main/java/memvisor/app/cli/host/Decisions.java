package memvisor.app.cli.host;

import java.util.List;
import memvisor.host.policy.Decision;
import memvisor.host.reclaim.HostReclaim;
import memvisor.machine.fleet.VmHost;

/** The latest decisions about memory, with the names of VMs. */
final class Decisions {
  private Decisions() {}

  /** At most so many lines, the newest last. */
  static List<String> latest(VmHost host, int most) {
    return latest(host, most, decision -> true);
  }

  /** The same of one VM. */
  static List<String> latest(VmHost host, int most, int vmId) {
    return latest(host, most, decision -> decision.vmId() == vmId);
  }

  private static List<String> latest(
      VmHost host, int most, java.util.function.Predicate<Decision> which) {
    List<Decision> all =
        host.memory().reclaim().map(HostReclaim::decisions).orElse(List.of()).stream()
            .filter(which)
            .toList();
    long now = host.memory().ledger().nowNanos();
    return all.subList(Math.max(0, all.size() - most), all.size()).stream()
        .map(
            decision ->
                "%s: %s"
                    .formatted(
                        Sizes.ago(now - decision.timeNanos()),
                        decision.sentence(host.nameOf(decision.vmId()))))
        .toList();
  }
}
