package memvisor.app.cli.host;

import java.util.Optional;
import memvisor.host.policy.BalloonStanding;
import memvisor.host.policy.VmView;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.pc.PcBalloon;

/**
 * How big a VM's balloon is.
 *
 * @param vm its name
 * @param memoryBytes guest memory without balloon
 * @param askedBytes what is to be left to the guest
 * @param leftBytes what is left to it
 * @param standing whether the balloon keeps to its contract: good, working, breached or absent
 * @param reason why not, where it does not
 */
record BalloonAnswer(
    String vm, long memoryBytes, long askedBytes, long leftBytes, String standing, String reason) {
  static BalloonAnswer of(VmHost host, Vm vm) {
    long memory = vm.spec().configuration().memoryBytes();
    Optional<PcBalloon.State> state =
        vm.inspect(machine -> machine.balloon().map(PcBalloon::state));
    int vmId = vm.vmId().orElse(0);
    Optional<VmView> view =
        host.policy().stream()
            .flatMap(policy -> policy.view().vms().stream())
            .filter(row -> row.vmId() == vmId)
            .findFirst();
    BalloonStanding standing =
        view.map(row -> row.balloon().standing()).orElse(new BalloonStanding.Good());
    long asked =
        view.map(row -> row.terms().limitPages() << 12)
            .orElse(memory - (state.map(PcBalloon.State::targetPages).orElse(0L) << 12));
    return new BalloonAnswer(
        vm.name(),
        memory,
        asked,
        memory - (state.map(PcBalloon.State::balloonedPages).orElse(0L) << 12),
        standing.getClass().getSimpleName().toLowerCase(java.util.Locale.ROOT),
        switch (standing) {
          case BalloonStanding.Good good -> "";
          case BalloonStanding.Working working -> "";
          case BalloonStanding.Breached breached -> breached.reason();
          case BalloonStanding.Absent absent -> absent.reason();
        });
  }

  /** Whether it is as big as was asked, but for a page or two that a driver counts otherwise. */
  boolean isDone() {
    return Math.abs(leftBytes - askedBytes) < 64 << 10;
  }

  boolean isHopeless() {
    return !reason.isEmpty();
  }

  String text() {
    return "%s: %s of %s MiB are left to the guest, %s were asked for%s\n"
        .formatted(
            vm,
            Sizes.mib(leftBytes),
            Sizes.mib(memoryBytes),
            Sizes.mib(askedBytes),
            reason.isEmpty() ? "" : "; the balloon cannot be relied on: " + reason);
  }
}
