package memvisor.host.reclaim;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
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
 * others to join, so that no VM has to stand still for another.
 *
 * <p>Thread-safe. What a guest causes most waits for nobody: to read a page for the first time, to
 * write one that others share, to give one up that others keep. Frames are looked for, added and
 * removed under the lock of their hash's stripe: under it nobody can join a frame, so that a frame
 * with one user there has only that one.
 */
final class SharedFrames {
  /** Bookkeeping per shared frame (two columns, half full) and per candidate. */
  private static final int STABLE_BYTES = 32;

  private static final int FRAME_BYTES = 4096;

  /** Most pages of one hash that one is compared with: a guest may make as many as it likes. */
  private static final int COMPARISONS = 16;

  /** Far more than VMs run at once. */
  private static final int STRIPES = 16;

  /** What VMs that trust each other share of the contents with some hashes; guarded by itself. */
  static final class Stripe {
    private final StableTable stable = new StableTable();
    private final CandidateTable candidates;

    private Stripe(long pages) {
      candidates = new CandidateTable(pages);
    }
  }

  /** What VMs that trust each other share. */
  static final class Domain {
    private final Stripe[] stripes = new Stripe[STRIPES];

    private Domain(long pages) {
      for (int i = 0; i < STRIPES; i++) {
        stripes[i] = new Stripe(Math.ceilDiv(pages, STRIPES));
      }
    }

    /** Where contents with that hash are. */
    Stripe stripe(long hash) {
      return stripes[(int) (hash >>> Long.SIZE - Integer.numberOfTrailingZeros(STRIPES))];
    }

    private int frames() {
      int frames = 0;
      for (Stripe stripe : stripes) {
        synchronized (stripe) {
          frames += stripe.stable.size();
        }
      }
      return frames;
    }
  }

  private final MachineFrames host;
  private final DedupOptions options;
  private final Map<String, Domain> domains = new ConcurrentHashMap<>();
  private volatile long zeroHpa = -1;
  private final AtomicLong zeroPages = new AtomicLong();
  private final AtomicLong shared = new AtomicLong();
  private final AtomicLong sharing = new AtomicLong();
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
  Domain domain(String name) {
    return domains.computeIfAbsent(name, n -> new Domain(host.ledger().frameCount()));
  }

  /** Forgets a trust domain whose only VM has given all its pages back. */
  void forget(String name) {
    Domain gone = domains.remove(name);
    if (gone != null && gone.frames() > 0) {
      throw new IllegalStateException(
          "trust domain '%s' still shares frames: count=%d".formatted(name, gone.frames()));
    }
  }

  /** One more page on the page of zeroes: its HPA, or -1 if there is no frame for it. */
  long joinZero() {
    long hpa = zeroHpa >= 0 ? zeroHpa : makeZero();
    if (hpa >= 0) {
      host.retain(hpa);
      zeroPages.incrementAndGet();
    }
    return hpa;
  }

  /** The page of zeroes stays once it is there: one of its references is nobody's. */
  private synchronized long makeZero() {
    if (zeroHpa < 0) {
      zeroHpa = host.allocate(0, Ledger.NO_VM, FrameRole.ZERO_PAGE, TransitionReason.ZERO_MERGED);
    }
    return zeroHpa;
  }

  /** Joins a shared frame with the contents at {@code hva}: its HPA, or -1 if there is none. */
  long join(Domain domain, long hash, long hva) {
    Stripe stripe = domain.stripe(hash);
    synchronized (stripe) {
      long hpa = find(stripe.stable, hash, hva);
      if (hpa >= 0) {
        host.retain(hpa);
        sharing.incrementAndGet();
      }
      return hpa;
    }
  }

  private long find(StableTable stable, long hash, long hva) {
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
        return hpa;
      }
    }
    return -1;
  }

  /** Makes a VM's own frame, which nothing may write any more, one that others can join. */
  void offer(Domain domain, long hash, long hpa, int vmId) {
    Stripe stripe = domain.stripe(hash);
    synchronized (stripe) {
      host.transfer(hpa, vmId, Ledger.NO_VM, FrameRole.SHARED, TransitionReason.SHARED);
      stripe.stable.add(hash, hpa);
      shared.incrementAndGet();
    }
  }

  /** Gives a frame to the VM that alone still uses it; false if it has other users. */
  boolean takeBack(String domainName, long hpa, int vmId) {
    // Should the others leave at this moment, the caller makes a copy that it could do without.
    if (host.references(hpa) > 1) {
      return false;
    }
    // Hashed before the lock is taken: the contents stay, for the caller still uses the frame.
    long hash = hash(hpa);
    Stripe stripe = domain(domainName).stripe(hash);
    synchronized (stripe) {
      if (host.references(hpa) > 1) {
        return false;
      }
      stripe.stable.remove(hash, hpa);
      host.transfer(hpa, Ledger.NO_VM, vmId, FrameRole.GUEST_PAGE, TransitionReason.UNSHARED);
      shared.decrementAndGet();
      return true;
    }
  }

  /** One page less on a shared frame. */
  void leave(String domainName, long hpa, TransitionReason reason) {
    if (hpa == zeroHpa) {
      zeroPages.decrementAndGet();
      host.free(hpa, Ledger.NO_VM, reason);
    } else if (host.freeUnlessLast(hpa, Ledger.NO_VM)) {
      sharing.decrementAndGet();
    } else {
      leaveLast(domain(domainName), hpa, reason);
    }
  }

  private void leaveLast(Domain domain, long hpa, TransitionReason reason) {
    long hash = hash(hpa);
    Stripe stripe = domain.stripe(hash);
    synchronized (stripe) {
      // Somebody may have joined meanwhile.
      if (host.freeUnlessLast(hpa, Ledger.NO_VM)) {
        sharing.decrementAndGet();
        return;
      }
      stripe.stable.remove(hash, hpa);
      host.free(hpa, Ledger.NO_VM, reason);
      shared.decrementAndGet();
    }
  }

  private long hash(long hpa) {
    return options.hash().of(host.machine().hva(hpa));
  }

  /** The page last seen with that content hash, as a candidate; from now on it is {@code page}. */
  long meet(Domain domain, long hash, long page) {
    Stripe stripe = domain.stripe(hash);
    synchronized (stripe) {
      long before = stripe.candidates.get(hash);
      stripe.candidates.put(hash, page);
      return before;
    }
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
    long frames = shared.get();
    long saved = (sharing.get() + zeroPages.get()) * FRAME_BYTES;
    return new DedupCounters(
        frames,
        sharing.get(),
        zeroPages.get(),
        unshared,
        changing,
        scanned,
        fullScans,
        saved - frames * STABLE_BYTES);
  }

  /** The frame of the page of zeroes, or -1. */
  long zeroHpa() {
    return zeroHpa;
  }
}
