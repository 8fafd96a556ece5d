package memvisor.cpu.x86;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where execution goes: RIP → block and its translation, and linear page → HPA for fetches.
 *
 * <p>What is known of a RIP is current or not. Where it is not, because the address space changed
 * or a page of code was invalidated, it takes no more than the page's translation to see whether it
 * still holds ({@link #confirm}): a block is what it is by its HPA.
 *
 * <p>An entry's key is its RIP and a tag: the view (what modes its block is for) and the epoch in
 * which it was last found to be right. A lookup reads the key and the translation and nothing else,
 * because it is the host's cache misses that it costs. The entries of one page lie together, so
 * that an invalidated page costs few others their entries.
 */
final class JumpCache {
  private static final int GROUP_BITS = 8;

  /**
   * Entries of a group, log2. A group holds the entries of every 256th page or so; a fork and exec
   * in Linux goes to some ten thousand places, mostly once or twice.
   */
  private static final int SLOT_BITS = 7;

  private static final int ENTRIES = 1 << GROUP_BITS + SLOT_BITS;
  private static final int PAGES = 256;
  private static final long EMPTY = -1;

  /** Bits of a key below its RIP; a RIP beyond 48 bits is never found. */
  private static final int TAG_BITS = 16;

  private static final int TAG = (1 << TAG_BITS) - 1;
  private static final int VIEW_SHIFT = 14;
  private static final int MAX_EPOCH = (1 << VIEW_SHIFT) - 1;

  private static final int KERNEL = CodeMode.LONG | CodeMode.PROTECTED;
  private static final int USER = KERNEL | 3 << CodeMode.CPL_SHIFT;

  /** The view of every mode but those two; only one of them at a time is current. */
  private static final int OTHER_VIEW = 2;

  /** Bit 0 of a page's HPA: the page is global. */
  private static final long GLOBAL = 1;

  private final long[] keys = new long[ENTRIES];
  private final @Nullable Block[] blocks = new @Nullable Block[ENTRIES];

  /** The translations of the blocks, as far as they were asked for. */
  private final @Nullable CompiledCode[] codes = new @Nullable CompiledCode[ENTRIES];

  /** Counts epochs of both kinds, so that no two are alike; 0 is no epoch. */
  private int clock;

  /** Entries of other pages are current if of this epoch, those of global pages if of the next. */
  private int epoch;

  private int globalEpoch;

  private int mode = -1;
  private int otherMode;
  private int view;

  /** Linear address of RIP 0. */
  private long base;

  /** Tags of current entries: view and epoch. */
  private int tag;

  private int globalTag;

  /** Fetch translations, user and supervisor: page tag and HPA of the page. */
  private final long[][] pageTags = new long[2][PAGES];

  private final long[][] pageHpas = new long[2][PAGES];

  private boolean pagesFilled = true;

  JumpCache() {
    flush();
  }

  /** The first of the two entries that a RIP may have; the other is beside it. */
  private static int index(long rip) {
    return group(rip) | (int) (rip * 0x9E37_79B9_7F4A_7C15L >>> 65 - SLOT_BITS) << 1;
  }

  /** The entry of a RIP, current or not; -1 if there is none. */
  private int entry(long rip) {
    int i = index(rip);
    return keys[i] >> TAG_BITS == rip ? i : keys[i + 1] >> TAG_BITS == rip ? i + 1 : -1;
  }

  /** Where the entries of a page begin. */
  private static int group(long rip) {
    return (int) ((rip >>> 12) * 0x9E37_79B9_7F4A_7C15L >>> 64 - GROUP_BITS) << SLOT_BITS;
  }

  /** From now on blocks of {@code newMode} are asked for, with RIP 0 at {@code newBase}. */
  void enter(int newMode, long newBase) {
    if (newBase != base) {
      base = newBase;
      flushBlocks();
    }
    if (newMode != mode) {
      mode = newMode;
      view = newMode == KERNEL ? 0 : newMode == USER ? 1 : OTHER_VIEW;
      if (view == OTHER_VIEW && newMode != otherMode) {
        otherMode = newMode;
        flushBlocks();
      }
      updateTags();
    }
  }

  private void updateTags() {
    tag = view << VIEW_SHIFT | epoch;
    globalTag = view << VIEW_SHIFT | globalEpoch;
  }

  private boolean isCurrent(long key) {
    int its = (int) key & TAG;
    return its == tag || its == globalTag;
  }

  private static long key(long rip, int tag) {
    return rip << TAG_BITS | tag;
  }

  /** The translation to execute at {@code rip}, if it is known and can be entered still. */
  @Nullable CompiledCode translation(long rip) {
    int i = entry(rip);
    if (i >= 0 && isCurrent(keys[i])) {
      CompiledCode code = codes[i];
      if (code != null && !code.isDropped()) {
        return code;
      }
    }
    return null;
  }

  /** The block last executed at {@code rip}, if known to be there still. */
  @Nullable Block find(long rip) {
    int i = entry(rip);
    if (i >= 0 && isCurrent(keys[i])) {
      Block block = blocks[i];
      if (block != null && !block.dropped) {
        codes[i] = block.code;
        return block;
      }
    }
    return null;
  }

  /** The block last executed at {@code rip}, if that is what is at {@code hpa}. */
  @Nullable Block confirm(long rip, long hpa, boolean global) {
    int i = entry(rip);
    Block block = i < 0 ? null : blocks[i];
    if (block == null || block.hpa != hpa || block.mode != mode || block.dropped) {
      return null;
    }
    keys[i] = key(rip, global ? globalTag : tag);
    codes[i] = block.code;
    return block;
  }

  /** Remembers a block of the current mode. */
  void put(long rip, Block block, boolean global) {
    if (rip << TAG_BITS >> TAG_BITS != rip) {
      return; // another's key
    }
    int i = entry(rip);
    if (i < 0) {
      i = index(rip);
      keys[i + 1] = keys[i];
      blocks[i + 1] = blocks[i];
      codes[i + 1] = codes[i];
    }
    keys[i] = key(rip, global ? globalTag : tag);
    blocks[i] = block;
    codes[i] = block.code;
  }

  /** Lets go of translations that can no longer be entered. */
  void forgetDropped() {
    for (int i = 0; i < ENTRIES; i++) {
      CompiledCode code = codes[i];
      if (code != null && code.isDropped()) {
        codes[i] = null;
      }
    }
  }

  /** HPA of the byte at {@code linear} for fetches, -1 if not known. */
  long page(long linear, boolean user) {
    int view = user ? 1 : 0;
    int i = (int) (linear >>> 12) & PAGES - 1;
    return pageTags[view][i] == linear >>> 12 ? pageHpas[view][i] & -4096L | linear & 0xFFF : -1;
  }

  /** As {@link #page}, also where no more is known than that a block at {@code rip} is current. */
  long pageOfBlock(long rip, boolean user) {
    long hpa = page(rip, user);
    int i = hpa < 0 ? entry(rip) : -1;
    if (i >= 0 && isCurrent(keys[i])) {
      Block block = blocks[i];
      if (block != null) {
        hpa = block.hpa;
        putPage(rip, user, hpa, ((int) keys[i] & TAG) == globalTag);
      }
    }
    return hpa;
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
  }

  /** No translation holds any more. */
  void flush() {
    flushBlocks();
    if (pagesFilled) {
      Arrays.fill(pageTags[0], EMPTY);
      Arrays.fill(pageTags[1], EMPTY);
      pagesFilled = false;
    }
  }

  /** Only translations of global pages hold still. */
  void flushNonGlobal() {
    if (clock == MAX_EPOCH) {
      flushBlocks();
    } else {
      epoch = ++clock;
      updateTags();
    }
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
    if (base == 0) {
      int group = group(gva);
      for (int i = group; i < group + (1 << SLOT_BITS); i++) {
        keys[i] &= ~TAG; // of no epoch
      }
    } else {
      flushBlocks();
    }
    int i = (int) (gva >>> 12) & PAGES - 1;
    pageTags[0][i] = EMPTY;
    pageTags[1][i] = EMPTY;
  }

  /** Nothing known of RIPs is current; fetch translations stay. */
  void flushBlocks() {
    if (clock >= MAX_EPOCH - 1) {
      clock = 0;
      for (int i = 0; i < ENTRIES; i++) {
        keys[i] &= ~TAG;
      }
    }
    epoch = ++clock;
    globalEpoch = ++clock;
    updateTags();
  }
}
