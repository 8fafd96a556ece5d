package memvisor.host.reclaim;

import java.util.HashMap;
import java.util.Map;
import memvisor.host.dedup.CandidateTable;
import memvisor.host.dedup.DedupCounters;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.dedup.StableTable;
import memvisor.host.frames.Ledger;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;

/**
 * The frames that several guest pages share: the page of zeroes, and per trust domain those of
 * equal contents.
 *
 * <p>A shared frame belongs to no VM; its reference count in the ledger is the number of its users.
 * A VM only ever changes its own pages: it joins a frame on offer, or offers one of its own for
 * others to join, so that no VM has to stand still for another. Thread-safe.
 */
final class SharedFrames {
  /** Bookkeeping per shared frame (two columns, half full) and per candidate. */
  private static final int STABLE_BYTES = 32;

  private static final int FRAME_BYTES = 4096;

  /** Most pages of one hash that one is compared with: a guest may make as many as it likes. */
  private static final int COMPARISONS = 16;

  /** What VMs that trust each other share. */
  static final class Domain {
    private final StableTable stable = new StableTable();
    private final CandidateTable candidates;

    private Domain(long pages) {
      candidates = new CandidateTable(pages);
    }
  }

  private final MachineFrames host;
  private final DedupOptions options;
  private final Map<String, Domain> domains = new HashMap<>();
  private long zeroHpa = -1;
  private long zeroPages;
  private long shared;
  private long sharing;
  private long unshared;
  private long changing;
  private long scanned;
  private long fullScans;

  SharedFrames(MachineFrames host, DedupOptions options) {
    this.host = host;
    this.options = options;
  }

  DedupOptions options() {
    return options;
  }

  /** The frames that VMs of a trust domain share. */
  synchronized Domain domain(String name) {
    return domains.computeIfAbsent(name, n -> new Domain(host.ledger().frameCount()));
  }

  /** Forgets a trust domain whose only VM has given all its pages back. */
  synchronized void forget(String name) {
    Domain gone = domains.remove(name);
    if (gone != null && gone.stable.size() > 0) {
      throw new IllegalStateException(
          "trust domain '%s' still shares frames: count=%d".formatted(name, gone.stable.size()));
    }
  }

  /** One more page on the page of zeroes: its HPA, or -1 if there is no frame for it. */
  synchronized long joinZero() {
    if (zeroHpa < 0) {
      zeroHpa = host.allocate(0, Ledger.NO_VM, FrameRole.ZERO_PAGE, TransitionReason.ZERO_MERGED);
      if (zeroHpa < 0) {
        return -1;
      }
    }
    host.retain(zeroHpa);
    zeroPages++;
    return zeroHpa;
  }

  /** Joins a shared frame with the contents at {@code hva}: its HPA, or -1 if there is none. */
  synchronized long join(Domain domain, long hash, long hva) {
    StableTable stable = domain.stable;
    int compared = 0;
    for (int at = stable.first(hash);
        at >= 0 && compared < COMPARISONS;
        at = stable.next(hash, at)) {
      long hpa = stable.hpa(at);
      if (host.references(hpa) >= options.maxPageSharing()) {
        continue;
      }
      compared++;
      if (Hva.isEqual(host.machine().hva(hpa), hva, FRAME_BYTES)) {
        host.retain(hpa);
        sharing++;
        return hpa;
      }
    }
    return -1;
  }

  /** Makes a VM's own frame, which nothing may write any more, one that others can join. */
  synchronized void offer(Domain domain, long hash, long hpa, int vmId) {
    host.transfer(hpa, vmId, Ledger.NO_VM, FrameRole.SHARED, TransitionReason.SHARED);
    domain.stable.add(hash, hpa);
    shared++;
  }

  /** Gives a frame to the VM that alone still uses it; false if it has other users. */
  synchronized boolean takeBack(String domainName, long hpa, int vmId) {
    if (host.references(hpa) > 1) {
      return false;
    }
    domain(domainName).stable.remove(options.hash().of(host.machine().hva(hpa)), hpa);
    host.transfer(hpa, Ledger.NO_VM, vmId, FrameRole.GUEST_PAGE, TransitionReason.UNSHARED);
    shared--;
    return true;
  }

  /** One page less on a shared frame. */
  synchronized void leave(String domainName, long hpa, TransitionReason reason) {
    if (hpa == zeroHpa) {
      zeroPages--;
    } else if (host.references(hpa) > 1) {
      sharing--;
    } else {
      domain(domainName).stable.remove(options.hash().of(host.machine().hva(hpa)), hpa);
      shared--;
    }
    host.free(hpa, Ledger.NO_VM, reason);
  }

  /** The page last seen with that content hash, as a candidate; from now on it is {@code page}. */
  synchronized long meet(Domain domain, long hash, long page) {
    long before = domain.candidates.get(hash);
    domain.candidates.put(hash, page);
    return before;
  }

  /** Adds what a batch of a VM's scan counted. */
  synchronized void count(long pages) {
    scanned += pages;
  }

  /** Adds what a VM's full scan found, in place of what its last one did. */
  synchronized void countFullScan(long unsharedChange, long changingChange) {
    fullScans++;
    unshared += unsharedChange;
    changing += changingChange;
  }

  synchronized DedupCounters counters() {
    long saved = (sharing + zeroPages) * FRAME_BYTES;
    return new DedupCounters(
        shared,
        sharing,
        zeroPages,
        unshared,
        changing,
        scanned,
        fullScans,
        saved - shared * STABLE_BYTES);
  }

  /** The frame of the page of zeroes, or -1. */
  synchronized long zeroHpa() {
    return zeroHpa;
  }
}
