package memvisor.app.cli.run;

import java.util.Optional;
import memvisor.host.HostMemory;
import memvisor.host.reclaim.ReclaimOptions;

/**
 * The machine memory that a run uses.
 *
 * @param sizeBytes its size
 * @param reclaim how it takes memory back from the guest, if it does
 */
public record HostSetup(long sizeBytes, Optional<ReclaimOptions> reclaim) {
  HostMemory create() {
    HostMemory host = HostMemory.create(sizeBytes);
    reclaim.ifPresent(host::enableReclaim);
    return host;
  }

  /** More memory than a guest of that size and its tables can use. */
  public static long ampleBytes(long guestBytes) {
    // A partition takes one run of frames that starts at a multiple of its size.
    return 4 * Long.highestOneBit(guestBytes) + (128L << 20);
  }
}
