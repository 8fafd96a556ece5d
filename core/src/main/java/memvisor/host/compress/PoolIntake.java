package memvisor.host.compress;

import memvisor.host.compress.CompressedPool.Domain;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/**
 * Decides how a cold page of one VM is kept in the pool: once for all equal ones, compressed by
 * itself, or as a patch to a similar page.
 *
 * <p>A page that does not compress and has no similar one in the pool is kept whole if one like it
 * was seen before, for the next to be patches to it. Which pages are similar their sketches
 * suggest; what is kept is what the bytes say, and it is proved by its checksum when it is
 * restored. The work is done outside the pool's lock. Not thread-safe.
 */
public final class PoolIntake {
  /** The page stays where it is: keeping it in the pool would save nothing. */
  public static final long INCOMPRESSIBLE = -2;

  private static final long NONE = -3;

  /**
   * A page of fewer bytes gains nothing by being a patch, and little is gained by patches to it.
   */
  private static final int SMALL_BYTES = 384;

  private final CompressedPool pool;
  private final MachineMemory machine;
  private final PageCodec codec;
  private final boolean patches;
  private final PageSketch sketcher = new PageSketch();
  private final int[] sketch = new int[PageSketch.FEATURES];

  /**
   * An intake.
   *
   * @param codec used by the one thread at a time that uses this
   * @param patches whether similar pages are looked for
   */
  public PoolIntake(CompressedPool pool, MachineMemory machine, PageCodec codec, boolean patches) {
    this.pool = pool;
    this.machine = machine;
    this.codec = codec;
    this.patches = patches;
  }

  /**
   * Takes a page in. The frame itself becomes the pool's if the page is kept whole: then {@link
   * CompressedPool#isWhole} is true of the handle, and the handle is {@code hpa}.
   *
   * @param domain among whose pages equal and similar ones may be
   * @param hpa where the page lies; nobody writes to it meanwhile
   * @param who tells the page from all others
   * @return its handle, {@link CompressedPool#REFUSED} or {@link #INCOMPRESSIBLE}
   */
  public long take(Domain domain, long hpa, long who) {
    long hva = machine.hva(hpa);
    int checksum = Hva.crc32c(hva, PageCodec.PAGE_BYTES);
    long equal = joinEqual(domain, hva, checksum);
    if (equal != NONE) {
      return equal;
    }
    int alone = codec.compress(hva);
    if (!patches || alone != 0 && alone <= SMALL_BYTES) {
      return alone == 0
          ? incompressible()
          : pool.add(domain, codec.bufferHva(), alone, checksum, null);
    }
    sketcher.of(hva, sketch);
    long patch = patch(domain, hva, checksum, alone == 0 ? PageCodec.PAGE_BYTES : alone);
    if (patch != NONE) {
      return patch;
    }
    return alone == 0
        ? takeWhole(domain, hpa, checksum, who)
        : pool.add(domain, codec.bufferHva(), alone, checksum, sketch);
  }

  private long takeWhole(Domain domain, long hpa, int checksum, long who) {
    long handle =
        pool.sight(domain, sketch, who) ? pool.adopt(domain, hpa, checksum, sketch) : NONE;
    return handle >= 0 ? handle : incompressible();
  }

  private long incompressible() {
    pool.countIncompressible();
    return INCOMPRESSIBLE;
  }

  private long joinEqual(Domain domain, long hva, int checksum) {
    for (int number = 0; number < CompressedPool.COMPARISONS; number++) {
      PooledPage page = pool.pinEqual(domain, checksum, number);
      if (page == null) {
        break;
      }
      boolean equal =
          pool.load(page, codec, codec.bufferHva())
              && Hva.isEqual(codec.bufferHva(), hva, PageCodec.PAGE_BYTES);
      long handle = equal ? pool.join(page) : NONE;
      pool.unpin(domain, page);
      if (equal) {
        return handle;
      }
    }
    return NONE;
  }

  /** Keeps a page as a patch if that takes at most three quarters of what it takes otherwise. */
  private long patch(Domain domain, long hva, int checksum, int otherwise) {
    PooledPage base = pool.pinSimilar(domain, sketch);
    if (base == null) {
      return NONE;
    }
    int length = codec.patch(hva, pool.wholeHva(base, codec), otherwise / 4 * 3);
    long handle =
        length == 0 ? NONE : pool.addPatch(domain, codec.patchHva(), length, checksum, base);
    pool.unpin(domain, base);
    return handle;
  }
}
