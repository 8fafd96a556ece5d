package memvisor.cpu.x86;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where execution goes: RIP → block, and linear page → HPA for fetches.
 *
 * <p>What is known of a RIP is current or not. Where it is not, because the address space changed
 * or a page of code was invalidated, it takes no more than the page's translation to see whether it
 * still holds ({@link #confirm}): a block is what it is by its HPA.
 */
final class JumpCache {
  private static final int ENTRIES = 4096;
  private static final int PAGES = 256;
  private static final long EMPTY = -1;

  /** Bit 0 of a page's HPA: the page is global. */
  private static final long GLOBAL = 1;

  private final long[] rips = new long[ENTRIES];
  private final @Nullable Block[] blocks = new @Nullable Block[ENTRIES];

  /** The epoch in which an entry was last found to be right. */
  private final long[] epochs = new long[ENTRIES];

  /** Counts epochs of both kinds, so that no two are alike. */
  private long clock = 1;

  /** Entries of other pages are current if of this epoch, those of global pages if of the next. */
  private long epoch;

  private long globalEpoch;

  /** Fetch translations, user and supervisor: page tag and HPA of the page. */
  private final long[][] pageTags = new long[2][PAGES];

  private final long[][] pageHpas = new long[2][PAGES];

  private boolean pagesFilled = true;

  /** Pages that current entries may lie in. */
  private final PageFilter pages = new PageFilter();

  JumpCache() {
    flush();
  }

  private static int index(long rip) {
    return (int) (rip ^ rip >>> 12) & ENTRIES - 1;
  }

  /** The block last executed at {@code rip} in {@code mode}, if known to be there still. */
  @Nullable Block find(long rip, int mode) {
    int i = index(rip);
    if (rips[i] == rip && (epochs[i] == epoch || epochs[i] == globalEpoch)) {
      Block block = blocks[i];
      if (block != null && block.mode == mode && !block.dropped) {
        return block;
      }
    }
    return null;
  }

  /** The block last executed at {@code rip} in {@code mode}, if that is what is at {@code hpa}. */
  @Nullable Block confirm(long rip, int mode, long hpa, boolean global) {
    int i = index(rip);
    Block block = blocks[i];
    if (rips[i] != rip
        || block == null
        || block.hpa != hpa
        || block.mode != mode
        || block.dropped) {
      return null;
    }
    epochs[i] = global ? globalEpoch : epoch;
    return block;
  }

  void put(long rip, Block block, boolean global) {
    int i = index(rip);
    rips[i] = rip;
    blocks[i] = block;
    epochs[i] = global ? globalEpoch : epoch;
  }

  /** HPA of the byte at {@code linear} for fetches, -1 if not known. */
  long page(long linear, boolean user) {
    int view = user ? 1 : 0;
    int i = (int) (linear >>> 12) & PAGES - 1;
    return pageTags[view][i] == linear >>> 12 ? pageHpas[view][i] & -4096L | linear & 0xFFF : -1;
  }

  /** Whether the page that {@link #page} answered for is global. */
  boolean isGlobal(long linear, boolean user) {
    return (pageHpas[user ? 1 : 0][(int) (linear >>> 12) & PAGES - 1] & GLOBAL) != 0;
  }

  void putPage(long linear, boolean user, long hpa, boolean global) {
    int view = user ? 1 : 0;
    int i = (int) (linear >>> 12) & PAGES - 1;
    pageTags[view][i] = linear >>> 12;
    pageHpas[view][i] = hpa & -4096L | (global ? GLOBAL : 0);
    pagesFilled = true;
    pages.add(linear);
  }

  /** No translation holds any more. */
  void flush() {
    flushBlocks();
    pages.clear();
    if (pagesFilled) {
      Arrays.fill(pageTags[0], EMPTY);
      Arrays.fill(pageTags[1], EMPTY);
      pagesFilled = false;
    }
  }

  /** Only translations of global pages hold still. */
  void flushNonGlobal() {
    epoch = ++clock;
    for (int view = 0; view < 2; view++) {
      for (int i = 0; i < PAGES; i++) {
        if ((pageHpas[view][i] & GLOBAL) == 0) {
          pageTags[view][i] = EMPTY;
        }
      }
    }
  }

  /** Forgets what is known of the page around {@code gva}. */
  void flushPage(long gva) {
    if (pages.mayContain(gva)) {
      flushBlocks();
      int i = (int) (gva >>> 12) & PAGES - 1;
      pageTags[0][i] = EMPTY;
      pageTags[1][i] = EMPTY;
    }
  }

  /** Nothing known of RIPs is current; fetch translations stay. */
  void flushBlocks() {
    epoch = ++clock;
    globalEpoch = ++clock;
  }

  /** A set of pages as hashed bits: may contain what was not added. */
  private static final class PageFilter {
    private static final int BITS_LOG2 = 13;

    private final long[] bits = new long[1 << BITS_LOG2 - 6];

    private static int hash(long linear) {
      return (int) ((linear >>> 12) * 0x9E37_79B9_7F4A_7C15L >>> 64 - BITS_LOG2);
    }

    void add(long linear) {
      int bit = hash(linear);
      bits[bit >>> 6] |= 1L << bit;
    }

    boolean mayContain(long linear) {
      int bit = hash(linear);
      return (bits[bit >>> 6] >>> bit & 1) != 0;
    }

    void clear() {
      Arrays.fill(bits, 0);
    }
  }
}
