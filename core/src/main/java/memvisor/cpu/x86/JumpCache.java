package memvisor.cpu.x86;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where execution goes: RIP → block, and linear page → HPA for fetches, both for the current
 * translations only. Emptied whenever translations are invalidated.
 */
final class JumpCache {
  private static final int ENTRIES = 4096;
  private static final int PAGES = 256;
  private static final int LOGGED = 512;
  private static final long EMPTY = -1;

  private final long[] rips = new long[ENTRIES];
  private final @Nullable Block[] blocks = new @Nullable Block[ENTRIES];
  private final int[] filled = new int[LOGGED];
  private int fills;

  /** Fetch translations, user and supervisor: page tag and HPA of the page. */
  private final long[][] pageTags = new long[2][PAGES];

  private final long[][] pageHpas = new long[2][PAGES];
  private boolean pagesFilled = true;

  JumpCache() {
    flushPages();
  }

  private static int index(long rip) {
    return (int) (rip ^ rip >>> 12) & ENTRIES - 1;
  }

  /** The block last executed at {@code rip} in {@code mode}, if still known to be there. */
  @Nullable Block find(long rip, int mode) {
    int i = index(rip);
    if (rips[i] == rip) {
      Block block = blocks[i];
      if (block != null && block.mode == mode && !block.dropped) {
        return block;
      }
    }
    return null;
  }

  void put(long rip, Block block) {
    int i = index(rip);
    rips[i] = rip;
    blocks[i] = block;
    if (fills < LOGGED) {
      filled[fills] = i;
    }
    if (fills <= LOGGED) {
      fills++;
    }
  }

  /** HPA of the byte at {@code linear} for fetches, -1 if not known. */
  long page(long linear, boolean user) {
    int view = user ? 1 : 0;
    int i = (int) (linear >>> 12) & PAGES - 1;
    return pageTags[view][i] == linear >>> 12 ? pageHpas[view][i] | linear & 0xFFF : -1;
  }

  void putPage(long linear, boolean user, long hpa) {
    int view = user ? 1 : 0;
    int i = (int) (linear >>> 12) & PAGES - 1;
    pageTags[view][i] = linear >>> 12;
    pageHpas[view][i] = hpa & -4096L;
    pagesFilled = true;
  }

  void flush() {
    flushBlocks();
    flushPages();
  }

  /** Forgets what is known of the page around {@code gva}. */
  void flushPage(long gva) {
    flushBlocks();
    int i = (int) (gva >>> 12) & PAGES - 1;
    pageTags[0][i] = EMPTY;
    pageTags[1][i] = EMPTY;
  }

  /** Forgets where RIPs lead; fetch translations stay. */
  void flushBlocks() {
    if (fills > LOGGED) {
      Arrays.fill(blocks, null);
    } else {
      for (int i = 0; i < fills; i++) {
        blocks[filled[i]] = null;
      }
    }
    fills = 0;
  }

  private void flushPages() {
    if (pagesFilled) {
      Arrays.fill(pageTags[0], EMPTY);
      Arrays.fill(pageTags[1], EMPTY);
      pagesFilled = false;
    }
  }
}
