package memvisor.machine.fleet;

import java.util.Optional;
import memvisor.boot.BootRequest;
import memvisor.host.policy.VmTerms;
import memvisor.machine.pc.PcConfiguration;

/**
 * What a VM is made of, and what it is promised.
 *
 * @param name by which users know it: letters, digits, dot, hyphen and underscore
 * @param configuration the PC
 * @param request the kernel and what it is started with
 * @param trustDomain whom it shares equal pages with; empty: nobody
 * @param shares its weight when memory is short, against the weights of the others; 1 and up
 * @param floorBytes host memory that is left to it however short memory is
 * @param restart whether it is started again when the guest resets itself
 */
public record VmSpec(
    String name,
    PcConfiguration configuration,
    BootRequest request,
    Optional<String> trustDomain,
    int shares,
    long floorBytes,
    boolean restart) {
  private static final int LONGEST_NAME = 64;

  /** Checks name, shares and floor; messages are for the user. */
  public VmSpec {
    if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*") || name.length() > LONGEST_NAME) {
      throw new IllegalArgumentException(
          ("'%s' is no name for a VM: begin with a letter or digit, then letters, digits, '.', '-'"
                  + " and '_', %d in all at most")
              .formatted(name, LONGEST_NAME));
    }
    terms(name, configuration, shares, floorBytes);
  }

  private static VmTerms terms(
      String name, PcConfiguration configuration, int shares, long floorBytes) {
    long promised = configuration.memoryBytes() >>> 12;
    return VmTerms.of(name, promised).withShares(shares).withFloorPages(floorBytes >>> 12);
  }

  /** What it is promised, in the policy's words. */
  VmTerms terms() {
    return terms(name, configuration, shares, floorBytes);
  }

  /** A VM with defaults for all but these: no sharing, no floor, no restart. */
  public static VmSpec of(String name, PcConfiguration configuration, BootRequest request) {
    return new VmSpec(
        name, configuration, request, Optional.empty(), VmTerms.DEFAULT_SHARES, 0, false);
  }

  /** The same in a trust domain. */
  public VmSpec withTrustDomain(String domain) {
    return new VmSpec(
        name, configuration, request, Optional.of(domain), shares, floorBytes, restart);
  }
}
