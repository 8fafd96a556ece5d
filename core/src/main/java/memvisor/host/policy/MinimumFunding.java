package memvisor.host.policy;

import java.util.List;

/**
 * Min-funding revocation: memory is taken, piece by piece, from the VM that pays the fewest shares
 * for a page, where a page that it does not use costs more (Waldspurger 2002, section 5).
 *
 * <p>With {@code a} pages in use and {@code i} idle, a VM with {@code s} shares pays {@code s / (a
 * + i / (1 - tax))} for each.
 */
final class MinimumFunding {
  /** Into how many pieces what is wanted is cut: about 2% of it is the error. */
  private static final int PIECES = 64;

  private final double idleCost;

  MinimumFunding(int idleTaxPercent) {
    idleCost = 100.0 / (100 - idleTaxPercent);
  }

  /** Shares that {@code vm} pays for a page when {@code taken} of its pages have been taken. */
  double price(VmView vm, long taken) {
    long resident = Math.max(1, vm.residentPages() - taken);
    long active = Math.min(resident, vm.workingSetPages());
    return vm.terms().shares() / (active + idleCost * (resident - active));
  }

  /** How many pages to take from each VM, {@code wanted} together, none below its floor. */
  long[] take(List<VmView> vms, long wanted) {
    long[] taken = new long[vms.size()];
    long piece = Math.max(1, wanted / PIECES);
    for (long left = wanted; left > 0; ) {
      int poorest = poorest(vms, taken);
      if (poorest < 0) {
        break;
      }
      long part = Math.min(Math.min(piece, left), vms.get(poorest).abovePages() - taken[poorest]);
      taken[poorest] += part;
      left -= part;
    }
    return taken;
  }

  private int poorest(List<VmView> vms, long[] taken) {
    int poorest = -1;
    double lowest = Double.MAX_VALUE;
    for (int i = 0; i < taken.length; i++) {
      double price = price(vms.get(i), taken[i]);
      if (taken[i] < vms.get(i).abovePages() && price < lowest) {
        poorest = i;
        lowest = price;
      }
    }
    return poorest;
  }
}
