package memvisor.host.policy;

import java.util.List;

/**
 * What the policy makes of one snapshot.
 *
 * @param state how short of memory the machine is
 * @param wantedPages frames that are to become free, all orders together; 0 if none
 * @param orders what is to be done, mildest steps first
 */
public record Plan(MemoryState state, long wantedPages, List<Order> orders) {
  /** Copies the list. */
  public Plan {
    orders = List.copyOf(orders);
  }
}
