package memvisor.host.reclaim;

import memvisor.host.dedup.CandidateTable;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.dedup.PageHash;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.page.VmPages;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/**
 * Walks the pages of one VM, round and round, and merges those whose contents exist already.
 *
 * <p>A page joins a shared frame of equal contents at once. One that nobody shares yet becomes a
 * candidate when two scans in a row found it unchanged; when a candidate of this VM with the same
 * contents is known, that one becomes the shared frame, and when another VM of the trust domain has
 * one, this page is offered for that VM's scan to find. Equal hashes only suggest; bytes decide.
 * The VM stands still.
 */
final class DedupScanner {
  private static final int FRAME_BYTES = 4096;

  private final VmReclaim pages;
  private final VmPages vm;
  private final GuestFrames frames;
  private final SharedFrames shared;
  private final DedupOptions options;
  private final int[][] lastHash;
  private final ScanOrder order;
  private final ScanPace pace;
  private long lookedAt;
  private long mergedInScan;
  private long unshared;
  private long changing;
  private long publishedUnshared;
  private long publishedChanging;

  DedupScanner(VmReclaim pages, ScanPace pace) {
    this.pages = pages;
    this.pace = pace;
    vm = pages.vm();
    frames = pages.frames();
    shared = pages.shared().shared();
    options = shared.options();
    order = new ScanOrder(frames);
    lastHash = new int[frames.regionCount()][];
    for (int i = 0; i < lastHash.length; i++) {
      lastHash[i] = new int[(int) (frames.endGfn(i) - frames.firstGfn(i))];
    }
  }

  /** Looks at every page that has a frame of its own once; pages merged. */
  long scanAll() {
    order.renew();
    return scan(Integer.MAX_VALUE);
  }

  /** Looks at up to {@code count} pages, at most to the end of a full scan; pages merged. */
  long scan(int count) {
    SharedFrames.Domain domain = shared.domain(vm.trustDomain());
    if (!order.hasNext()) {
      order.renew();
    }
    long merged = 0;
    long looked = 0;
    while (looked < count && order.hasNext()) {
      long gfn = order.next();
      merged += scanPage(domain, frames.region(gfn), gfn) ? 1 : 0;
      looked++;
    }
    shared.count(looked);
    lookedAt += looked;
    mergedInScan += merged;
    if (!order.hasNext()) {
      endFullScan();
    }
    return merged;
  }

  private void endFullScan() {
    synchronized (vm) {
      pace.scanned(lookedAt, mergedInScan);
    }
    lookedAt = 0;
    mergedInScan = 0;
    shared.countFullScan(unshared - publishedUnshared, changing - publishedChanging);
    publishedUnshared = unshared;
    publishedChanging = changing;
    unshared = 0;
    changing = 0;
  }

  private boolean scanPage(SharedFrames.Domain domain, int in, long gfn) {
    long entry = frames.get(in, gfn);
    if (!PageEntry.isPrivate(entry)) {
      return false;
    }
    long hva = hva(entry);
    if (options.useZeroPages() && PageHash.isZero(hva)) {
      return mergeZero(in, gfn);
    }
    long hash = options.hash().of(hva);
    if (join(domain, in, gfn, entry, hash)) {
      return true;
    }
    int fold = (int) (hash ^ hash >>> 32);
    int index = (int) (gfn - frames.firstGfn(in));
    if (lastHash[in][index] != fold) {
      lastHash[in][index] = fold;
      changing++;
      return false;
    }
    return meetCandidate(domain, in, gfn, entry, hash);
  }

  private boolean meetCandidate(
      SharedFrames.Domain domain, int in, long gfn, long entry, long hash) {
    long candidate = shared.meet(domain, hash, CandidateTable.candidate(vm.vmId(), gfn));
    int owner = CandidateTable.vmId(candidate);
    long other = CandidateTable.gfn(candidate);
    if (owner == vm.vmId() && other != gfn) {
      int otherRegion = frames.region(other);
      long otherEntry = frames.get(otherRegion, other);
      if (PageEntry.isPrivate(otherEntry)
          && Hva.isEqual(hva(otherEntry), hva(entry), FRAME_BYTES)) {
        offer(domain, otherRegion, other, hash);
        return join(domain, in, gfn, entry, hash);
      }
    } else if (owner != 0 && owner != vm.vmId()) {
      offer(domain, in, gfn, hash);
      return false;
    }
    unshared++;
    return false;
  }

  /** Write-protects a page, then lets others share its frame. */
  private void offer(SharedFrames.Domain domain, int in, long gfn, long hash) {
    long started = pages.host().ledger().nowNanos();
    vm.derived().writeProtect(gfn, 1);
    synchronized (vm) {
      long hpa = Backing.hpa(frames.get(in, gfn));
      shared.offer(domain, hash, hpa, vm.vmId());
      vm.publish(in, gfn, PageEntry.shared(hpa), TransitionReason.SHARED, started);
    }
  }

  private boolean join(SharedFrames.Domain domain, int in, long gfn, long entry, long hash) {
    long hpa = shared.join(domain, hash, hva(entry));
    if (hpa < 0) {
      return false;
    }
    long started = pages.host().ledger().nowNanos();
    replace(in, gfn, PageEntry.shared(hpa), TransitionReason.DEDUPLICATED, started);
    return true;
  }

  private boolean mergeZero(int in, long gfn) {
    long started = pages.host().ledger().nowNanos();
    long hpa = shared.joinZero();
    if (hpa < 0) {
      return false;
    }
    replace(in, gfn, PageEntry.zero(hpa), TransitionReason.ZERO_MERGED, started);
    return true;
  }

  /** Every derived entry goes first; only then does the page's own frame. */
  private void replace(int in, long gfn, long entry, TransitionReason reason, long started) {
    vm.derived().invalidate(gfn, 1);
    synchronized (vm) {
      long old = frames.get(in, gfn);
      vm.publish(in, gfn, entry, reason, started);
      pages.release(old, reason);
    }
  }

  /** Merges every page of zeroes; pages merged. */
  long mergeZeroes() {
    if (!options.useZeroPages()) {
      return 0;
    }
    long[] merged = new long[1];
    frames.forEach(
        (in, gfn, entry) -> {
          if (PageEntry.isPrivate(entry) && PageHash.isZero(hva(entry)) && mergeZero(in, gfn)) {
            merged[0]++;
          }
        });
    return merged[0];
  }

  private long hva(long entry) {
    return pages.machine().hva(Backing.hpa(entry));
  }
}
