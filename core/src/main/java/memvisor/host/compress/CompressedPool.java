package memvisor.host.compress;

import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import memvisor.host.dedup.CandidateTable;
import memvisor.host.dedup.StableTable;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * Cold pages in frames of machine memory: compressed, as patches to similar pages, or whole where
 * they are what others are patches to.
 *
 * <p>{@link PoolIntake} decides how a page is kept; the pool keeps the books. Equal pages are kept
 * once per {@link Domain}. A page that patches stand on stays when its own users have left.
 * Thread-safe.
 */
public final class CompressedPool {
  /** No handle: there is no room for the page. */
  public static final long REFUSED = -1;

  /** Most pages of one checksum that a page is compared with: a guest may make many. */
  static final int COMPARISONS = 8;

  /** Pages that did not compress and whose sketches are remembered. */
  private static final int SIGHTINGS = 8192;

  /**
   * One in so many frames of the limit may hold a whole page: they save nothing by themselves, and
   * a guest that has many alike must not leave others without room.
   */
  private static final int WHOLES_PART = 4;

  /** VMs that trust each other: what one has compressed may serve for another. */
  public static final class Domain {
    private final String name;
    private final StableTable copies = new StableTable();
    private final SimilarPages similar = new SimilarPages();
    private @Nullable CandidateTable sightings;
    private long pages;
    private long bases;
    private volatile long wholesEver;

    private Domain(String name) {
      this.name = name;
    }

    /** The name of the trust domain. */
    public String name() {
      return name;
    }

    /**
     * How many pages were ever kept whole. If that has grown, pages that did not compress may do as
     * patches.
     */
    public long wholesEver() {
      return wholesEver;
    }
  }

  private final MachineMemory machine;
  private final PoolSpace space;
  private final long limitFrames;
  private final Map<String, Domain> domains = new HashMap<>();
  private long pages;
  private long sharing;
  private long patches;
  private long patchBytes;
  private long wholes;
  private long kept;
  private long bytes;
  private long stored;
  private long incompressible;
  private long refusedFull;

  /** An empty pool of at most {@code limitFrames} frames. */
  public CompressedPool(MachineMemory machine, PoolFrames source, long limitFrames) {
    this.machine = machine;
    this.limitFrames = limitFrames;
    space = new PoolSpace(source, limitFrames);
  }

  /** What it holds and did. */
  public synchronized CompressionCounters counters() {
    return new CompressionCounters(
        pages,
        sharing,
        patches,
        patchBytes,
        wholes,
        kept,
        space.frameCount(),
        bytes,
        stored,
        incompressible,
        refusedFull);
  }

  /** Whether it takes no more frames. */
  public synchronized boolean isFull() {
    return space.isFull();
  }

  /** The VMs that share what they have compressed, by name. */
  public synchronized Domain domain(String name) {
    return domains.computeIfAbsent(name, Domain::new);
  }

  /** Forgets a domain whose only VM has given all its pages back. */
  public synchronized void forget(String name) {
    Domain gone = domains.remove(name);
    if (gone != null && gone.pages > 0) {
      throw new IllegalStateException(
          "trust domain '%s' still has compressed pages: count=%d".formatted(name, gone.pages));
    }
  }

  // ---- taking a page in, step by step: what is looked at outside the lock is pinned ------------

  /** The {@code number}-th page with that checksum, pinned; null if there are not so many. */
  synchronized @Nullable PooledPage pinEqual(Domain domain, int checksum, int number) {
    int at = domain.copies.first(checksum);
    for (int i = 0; i < number && at >= 0; i++) {
      at = domain.copies.next(checksum, at);
    }
    return at < 0 ? null : pin(space.page(domain.copies.hpa(at)));
  }

  /** The page that has most features in common with a sketch, pinned; null if none has any. */
  synchronized @Nullable PooledPage pinSimilar(Domain domain, int[] sketch) {
    PooledPage page = domain.similar.find(sketch);
    return page == null ? null : pin(page);
  }

  private static PooledPage pin(PooledPage page) {
    page.pins++;
    return page;
  }

  /** Lets go of a pinned page. */
  synchronized void unpin(Domain domain, PooledPage page) {
    page.pins--;
    dropIfGone(domain, page);
  }

  /** One more guest page on a page; its handle. */
  synchronized long join(PooledPage page) {
    if (page.users > 0) {
      sharing++;
    } else {
      kept--;
    }
    page.users++;
    countStored(page, 1);
    stored++;
    return page.handle();
  }

  /** Keeps a compressed page that others can be patches to, if it has a sketch. */
  synchronized long add(
      Domain domain, long hva, int lengthBytes, int checksum, int @Nullable [] sketch) {
    PooledPage page = space.add(lengthBytes, checksum, null);
    if (page == null) {
      return refuse();
    }
    Hva.copy(hva, machine.hva(page.handle()), lengthBytes);
    return enter(domain, page, sketch);
  }

  /** Keeps a patch to a page. */
  synchronized long addPatch(
      Domain domain, long hva, int lengthBytes, int checksum, PooledPage base) {
    PooledPage page = space.add(lengthBytes, checksum, base);
    if (page == null) {
      return refuse();
    }
    Hva.copy(hva, machine.hva(page.handle()), lengthBytes);
    base.patches++;
    patchBytes += lengthBytes;
    return enter(domain, page, null);
  }

  /** Takes in a page with the frame that it lies in, for others to be patches to. */
  synchronized long adopt(Domain domain, long hpa, int checksum, int[] sketch) {
    PooledPage page = wholes * WHOLES_PART < limitFrames ? space.adopt(hpa, checksum) : null;
    if (page == null) {
      return refuse();
    }
    domain.wholesEver++;
    wholes++;
    return enter(domain, page, sketch);
  }

  private long enter(Domain domain, PooledPage page, int @Nullable [] sketch) {
    page.users = 1;
    domain.pages++;
    if (sketch != null) {
      domain.bases++;
      domain.similar.add(sketch, page, domain.bases);
      page.isBase = true;
    }
    page.isListed = isWorthListing(domain, page.checksum);
    if (page.isListed) {
      domain.copies.add(page.checksum, page.handle());
    }
    bytes += page.lengthBytes;
    countStored(page, 1);
    stored++;
    return page.handle();
  }

  /** A page that nobody would be compared with only makes the search longer. */
  private static boolean isWorthListing(Domain domain, int checksum) {
    int known = 0;
    for (int at = domain.copies.first(checksum); at >= 0; at = domain.copies.next(checksum, at)) {
      known++;
    }
    return known < COMPARISONS;
  }

  private void countStored(PooledPage page, int change) {
    pages += change;
    patches += page.base == null ? 0 : change;
  }

  private long refuse() {
    refusedFull++;
    return REFUSED;
  }

  /**
   * Whether another page than {@code who} that did not compress had two features of this one. From
   * now on this one has them.
   */
  synchronized boolean sight(Domain domain, int[] sketch, long who) {
    CandidateTable sightings = domain.sightings;
    if (sightings == null) {
      sightings = new CandidateTable(SIGHTINGS);
      domain.sightings = sightings;
    }
    int seen = 0;
    for (int feature : sketch) {
      if (feature != PageSketch.NONE) {
        long other = sightings.get(feature);
        seen += other != CandidateTable.NONE && other != who ? 1 : 0;
        sightings.put(feature, who);
      }
    }
    return seen >= 2;
  }

  /** Records a page that would not compress. */
  synchronized void countIncompressible() {
    incompressible++;
  }

  // ---- and out again ---------------------------------------------------------------------------

  /**
   * Restores a page; the pool keeps it until {@link #free}.
   *
   * @return false if what the pool holds is damaged
   */
  public boolean load(long handle, PageCodec codec, long targetHva) {
    PooledPage page;
    synchronized (this) {
      page = space.page(handle);
    }
    // Whoever loads it is one of its users, so its bytes stay where they are.
    return load(page, codec, targetHva);
  }

  boolean load(PooledPage page, PageCodec codec, long targetHva) {
    boolean decoded =
        page.base == null
            ? expand(page, codec, targetHva)
            : codec.unpatch(hva(page), page.lengthBytes, wholeHva(page.base, codec), targetHva);
    return decoded && Hva.crc32c(targetHva, PageCodec.PAGE_BYTES) == page.checksum;
  }

  /** Where a page that is no patch can be read: in place, or as the codec expands it. */
  long wholeHva(PooledPage page, PageCodec codec) {
    if (page.isWhole()) {
      return hva(page);
    }
    // Damage shows in the checksum of whatever is made from it.
    expand(page, codec, codec.baseHva());
    return codec.baseHva();
  }

  private boolean expand(PooledPage page, PageCodec codec, long targetHva) {
    if (page.isWhole()) {
      Hva.copy(hva(page), targetHva, PageCodec.PAGE_BYTES);
      return true;
    }
    return codec.decompress(hva(page), page.lengthBytes, targetHva);
  }

  private long hva(PooledPage page) {
    return machine.hva(page.handle());
  }

  /** Bytes of the pool for a guest page: its part of what it and others stand on. */
  public synchronized double partBytes(long handle) {
    return space.page(handle).partBytes();
  }

  /** Whether a page is kept as a patch. */
  public synchronized boolean isPatch(long handle) {
    return space.page(handle).base != null;
  }

  /** Whether a page is kept as it is. */
  public synchronized boolean isWhole(long handle) {
    return space.page(handle).isWhole();
  }

  /** Forgets a page of a domain, for one of the guest pages with its contents. */
  public synchronized void free(Domain domain, long handle) {
    PooledPage page = space.page(handle);
    if (page.users == 0) {
      throw new IllegalStateException("nobody uses the page: handle=0x%x".formatted(handle));
    }
    page.users--;
    countStored(page, -1);
    if (page.users > 0) {
      sharing--;
    } else {
      kept++;
      dropIfGone(domain, page);
    }
  }

  /** Removes a page that nothing stands on, and then perhaps the one to which it is a patch. */
  private void dropIfGone(Domain domain, PooledPage page) {
    if (!page.isGone()) {
      return;
    }
    if (page.isListed) {
      domain.copies.remove(page.checksum, page.handle());
    }
    kept--;
    domain.pages--;
    domain.bases -= page.isBase ? 1 : 0;
    wholes -= page.isWhole() ? 1 : 0;
    bytes -= page.lengthBytes;
    space.remove(page);
    if (page.base != null) {
      patchBytes -= page.lengthBytes;
      page.base.patches--;
      dropIfGone(domain, page.base);
    }
  }

  /**
   * Recounts.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public synchronized void audit() {
    long[] counted = new long[7];
    Map<PooledPage, Integer> patched = new IdentityHashMap<>();
    space.audit(
        page -> {
          counted[0] += page.users;
          counted[1] += Math.max(0, page.users - 1);
          counted[2] += page.base == null ? 0 : page.users;
          counted[3] += page.base == null ? 0 : page.lengthBytes;
          counted[4] += page.isWhole() ? 1 : 0;
          counted[5] += page.users == 0 ? 1 : 0;
          counted[6] += page.lengthBytes;
          patched.merge(page, page.patches, Integer::sum);
          if (page.base != null) {
            patched.merge(page.base, -1, Integer::sum);
          }
        });
    String[] names = {
      "pages", "pages sharing", "patches", "bytes of patches", "whole pages", "pages kept", "bytes"
    };
    long[] known = {pages, sharing, patches, patchBytes, wholes, kept, bytes};
    for (int i = 0; i < known.length; i++) {
      require(names[i], known[i], counted[i]);
    }
    patched.forEach((page, surplus) -> require("patches of handle=" + page.handle(), surplus, 0));
  }

  private static void require(String what, long known, long counted) {
    if (known != counted) {
      throw new IllegalStateException(
          "compressed pool: %s=%d counted=%d".formatted(what, known, counted));
    }
  }
}
