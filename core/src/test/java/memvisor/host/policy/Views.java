package memvisor.host.policy;

import java.util.List;
import java.util.OptionalLong;
import memvisor.host.policy.HostView.Means;

/** Snapshots for tests. */
final class Views {
  static final long SECOND = 1_000_000_000L;

  private Views() {}

  static VmView vm(int id, VmTerms terms, long resident, long workingSet, BalloonView balloon) {
    return new VmView(id, terms, resident, workingSet, 0, Pressure.NONE, 0, balloon);
  }

  static VmView vm(int id, long promised, long resident, long workingSet) {
    return vm(id, VmTerms.of("vm" + id, promised), resident, workingSet, BalloonView.NONE);
  }

  static BalloonView balloon(long target, long available) {
    return new BalloonView(new BalloonStanding.Good(), target, target, OptionalLong.of(available));
  }

  static Means means(boolean merge, boolean compress, long swapFree) {
    return new Means(merge, compress, swapFree);
  }

  static HostView host(long nanos, long total, long free, Means means, VmView... vms) {
    return new HostView(nanos, total, free, means, List.of(vms));
  }

  static Pressure waiting(double percent) {
    Pressure.Share share = new Pressure.Share(percent, percent, percent, 1);
    return new Pressure(share, share);
  }
}
