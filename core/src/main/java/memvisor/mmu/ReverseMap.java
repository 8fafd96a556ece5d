package memvisor.mmu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * rmap: from a guest frame (or a run of 512 of them) to the shadow leaves that map it, as chains of
 * nodes in arrays.
 */
final class ReverseMap {
  private static final int NONE = -1;

  private final LongIntMap heads = new LongIntMap(NONE);
  private @Nullable ShadowPage[] pages = new ShadowPage[256];
  private int[] indexes = new int[256];
  private int[] next = new int[256];
  private int free = NONE;
  private int used;
  private int size;

  /** Number of leaves. */
  int size() {
    return size;
  }

  LongIntMap keys() {
    return heads;
  }

  void add(long key, ShadowPage page, int index) {
    int node = free;
    if (node == NONE) {
      node = used++;
      if (node == pages.length) {
        pages = Arrays.copyOf(pages, node * 2);
        indexes = Arrays.copyOf(indexes, node * 2);
        next = Arrays.copyOf(next, node * 2);
      }
    } else {
      free = next[node];
    }
    pages[node] = page;
    indexes[node] = index;
    next[node] = heads.get(key);
    heads.put(key, node);
    size++;
  }

  void remove(long key, ShadowPage page, int index) {
    int before = NONE;
    for (int node = heads.get(key); node != NONE; before = node, node = next[node]) {
      if (pages[node] != page || indexes[node] != index) {
        continue;
      }
      if (before == NONE) {
        heads.put(key, next[node]);
      } else {
        next[before] = next[node];
      }
      pages[node] = null;
      next[node] = free;
      free = node;
      size--;
      return;
    }
    throw new IllegalStateException(
        "no such reverse mapping: key=0x%x index=%d".formatted(key, index));
  }

  /** First node of a chain, -1 at its end. */
  int first(long key) {
    return heads.get(key);
  }

  int next(int node) {
    return next[node];
  }

  ShadowPage page(int node) {
    ShadowPage page = pages[node];
    if (page == null) {
      throw new IllegalStateException("freed node of the reverse map: node=" + node);
    }
    return page;
  }

  int index(int node) {
    return indexes[node];
  }
}
