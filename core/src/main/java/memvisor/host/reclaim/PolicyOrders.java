package memvisor.host.reclaim;

import memvisor.host.policy.Decision;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.MemoryState;
import memvisor.host.policy.Order;

/**
 * What the policy wants taken from one VM, and the taking.
 *
 * <p>Orders come from any thread and are carried out by the VM's own while it stands still. What
 * was not carried out when the policy looks again is void.
 */
final class PolicyOrders {
  /** Most pages that one standstill takes: some milliseconds. */
  private static final long PAGES_PER_STANDSTILL = 1024;

  /** Where nothing is short the guest is to notice nothing: a few milliseconds per look. */
  private static final long TRIMMED_PER_LOOK = 256;

  /** One entry in the log of decisions for so many trimmed pages, or the last of them. */
  private static final long TRIMMED_PER_DECISION = 8192;

  private static final Order NONE = new Order(Decision.MACHINE, Step.GIVE_UP, 0, "");

  private final VmReclaim pages;
  private volatile Order merge = NONE;
  private volatile Order take = NONE;
  private volatile Order trim = NONE;

  /** Pages trimmed of which the log of decisions does not tell yet; the VM's own thread. */
  private long trimmed;

  /** Why the first of them were. */
  private String trimReason = "";

  /** Counts what was given and taken back: work that began before a change does not undo it. */
  private int edition;

  private volatile MemoryState state = MemoryState.HIGH;

  PolicyOrders(VmReclaim pages) {
    this.pages = pages;
  }

  /** The policy has looked: what it wants now follows. */
  synchronized void reset(MemoryState machineState) {
    state = machineState;
    merge = NONE;
    take = NONE;
    trim = NONE;
    edition++;
  }

  /** Accepts an order. */
  void give(Order order) {
    accept(order);
    pages.vm().tellPressure();
  }

  private synchronized void accept(Order order) {
    switch (order.step()) {
      case MERGE -> merge = order;
      case TRIM -> trim = order;
      default -> take = order;
    }
    edition++;
  }

  boolean isPending() {
    return take.pages() > 0 || merge.pages() > 0 || trim.pages() > 0;
  }

  private synchronized int edition() {
    return edition;
  }

  private synchronized void leave(Order rest, int since) {
    if (edition == since) {
      merge = NONE;
      take = rest;
      trim = NONE;
    }
  }

  /** Carries out what is pending, in part if it is much; the VM stands still. */
  void obey(long nowNanos) {
    if (!isPending()) {
      return;
    }
    int since = edition();
    Order zeroes = merge;
    if (zeroes.pages() > 0) {
      pages.record(Step.MERGE, pages.mergeZeroes(nowNanos), zeroes.reason());
    }
    trim(trim);
    Order order = take;
    // Part by part, so that the guest runs in between, unless there is nothing left for others.
    boolean low = state == MemoryState.LOW;
    long most = low ? order.pages() : Math.min(order.pages(), PAGES_PER_STANDSTILL);
    long taken = most == 0 ? 0 : take(order, Math.min(most, pages.abovePages()), nowNanos);
    long rest = taken < most ? 0 : order.pages() - taken;
    leave(rest <= 0 ? NONE : new Order(order.vmId(), order.step(), rest, order.reason()), since);
  }

  /** Compresses the coldest pages of those that are cold enough for the policy. */
  private void trim(Order order) {
    if (order.pages() == 0) {
      return;
    }
    long most = Math.min(TRIMMED_PER_LOOK, Math.min(order.pages(), pages.abovePages()));
    long taken = pages.compressCold(most, pages.coldAge());
    trimReason = trimmed == 0 ? order.reason() : trimReason;
    trimmed += taken;
    if (trimmed >= TRIMMED_PER_DECISION || taken < TRIMMED_PER_LOOK) {
      pages.record(Step.TRIM, trimmed, trimReason);
      trimmed = 0;
    }
  }

  /** Cold pages by the means ordered; in need by any, and then pages that are in use. */
  private long take(Order order, long most, long nowNanos) {
    pages.findCold(most, nowNanos);
    if (state.compareTo(MemoryState.HARD) < 0) {
      return take(order.step(), most, ColdPages.COLD, order);
    }
    long taken = 0;
    for (int youngest = ColdPages.COLD; youngest >= ColdPages.ANY; youngest--) {
      for (Step step = order.step();
          step != Step.GIVE_UP;
          step = pages.shared().policy().next(step)) {
        taken += take(step, most - taken, youngest, order);
      }
    }
    return taken;
  }

  private long take(Step step, long most, int youngest, Order order) {
    return most == 0 ? 0 : pages.take(step, most, youngest, order.reason(), () -> false);
  }
}
