package memvisor.host.reclaim;

/**
 * When the accessed flags of one VM's pages are asked for: at most once per standstill, now and
 * then for a policy that wants to know what the VM uses, and when cold pages are wanted. The VM
 * stands still.
 */
final class AgeSampler {
  /** How often pages that did not compress may be tried again, on the VM's clock. */
  private static final long RETRY_NANOS = 20_000_000_000L;

  /** They are if the pool has got one more page for so many of them to be patches to. */
  private static final int RETRY_PART = 64;

  private final VmReclaim pages;
  private final PageAges ages;
  private boolean harvested;
  private long nextSampleNanos;
  private long retriedNanos;
  private long wholesAtRetry;

  AgeSampler(VmReclaim pages, PageAges ages) {
    this.pages = pages;
    this.ages = ages;
  }

  /** Whether a policy wants to know what the VM uses. */
  boolean isDue(long nowNanos) {
    return pages.shared().overcommit().isPresent()
        && nowNanos - ages.lastHarvestNanos() >= PageAges.PERIOD_NANOS
        && pages.host().ledger().nowNanos() >= nextSampleNanos;
  }

  /** A standstill has begun: asks for the flags if it is time. */
  void sample(long nowNanos) {
    harvested = false;
    if (isDue(nowNanos)) {
      harvest(nowNanos);
    }
  }

  /** Makes sure that so many pages are known to be cold, if they are; once per standstill. */
  void findCold(long count, long nowNanos) {
    if (!harvested && ages.pagesOfAge(ColdPages.COLD) < count) {
      harvest(nowNanos);
    }
  }

  private void harvest(long nowNanos) {
    ages.harvest(nowNanos);
    retryIncompressible(nowNanos);
    pages
        .shared()
        .overcommit()
        .map(policy -> policy.options().trimAfterNanos())
        .filter(after -> after > 0)
        .ifPresent(after -> ages.findCold(nowNanos - after));
    harvested = true;
    nextSampleNanos = pages.host().ledger().nowNanos() + PageAges.HOST_PERIOD_NANOS;
  }

  /**
   * Lets pages that did not compress be tried again, now that others like them may be in the pool
   * to be patches to: not often, and only where enough was added for the work to pay.
   */
  private void retryIncompressible(long nowNanos) {
    long wholes = pages.poolDomain().wholesEver();
    if (nowNanos - retriedNanos >= RETRY_NANOS
        && (wholes - wholesAtRetry) * RETRY_PART > ages.incompressiblePages()) {
      ages.forgetIncompressible();
      retriedNanos = nowNanos;
      wholesAtRetry = wholes;
    }
  }
}
