package memvisor.host.policy;

import java.util.List;

/**
 * A snapshot of the machine and its VMs.
 *
 * @param timeNanos when, in nanoseconds since the machine was made
 * @param totalFrames frames of the machine
 * @param freeFrames frames that nobody owns
 * @param means what may be done without asking a guest
 * @param vms the VMs, by ascending number
 */
public record HostView(
    long timeNanos, long totalFrames, long freeFrames, Means means, List<VmView> vms) {
  /** Copies the list. */
  public HostView {
    vms = List.copyOf(vms);
  }

  /**
   * What the machine can do by itself.
   *
   * @param merge whether equal pages are merged
   * @param compress whether pages can be compressed: it is on, and the pool is below its limit
   * @param swapFreePages pages that the swap file still takes; 0 without one
   */
  public record Means(boolean merge, boolean compress, long swapFreePages) {}
}
