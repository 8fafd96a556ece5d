package memvisor.host.reclaim;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Supplier;
import memvisor.host.policy.Pressure;

/**
 * A VM as the policy has it.
 *
 * @param vmId its number in the ledger
 * @param reclaim what takes pages from it; absent where nothing can, as from a partition
 * @param balloon its balloon, once it has one
 */
public record ManagedVm(
    int vmId, Optional<VmReclaim> reclaim, Supplier<Optional<BalloonControl>> balloon) {
  OptionalLong workingSetPages() {
    return reclaim.map(VmReclaim::workingSetPages).orElse(OptionalLong.empty());
  }

  Pressure pressure() {
    return reclaim.map(on -> on.pressure().pressure()).orElse(Pressure.NONE);
  }
}
