package memvisor.host.compress;

import org.jspecify.annotations.Nullable;

/**
 * The pages of one trust domain that others can be patches to, by the features of their sketches.
 *
 * <p>Each feature leads to the page that was last added with it, and every place holds one: memory
 * is bounded by the number of pages, and so is the work of a search, whatever pages a guest makes.
 * A place whose page has left the pool is empty. Not thread-safe: the pool's lock is held.
 */
final class SimilarPages {
  private int[] features = new int[256];
  private @Nullable PooledPage[] pages = new PooledPage[256];

  /** Adds a page; {@code bases} is how many there are with it. */
  void add(int[] sketch, PooledPage page, long bases) {
    if (bases * PageSketch.FEATURES * 2 > features.length && features.length < 1 << 24) {
      grow();
    }
    for (int feature : sketch) {
      if (feature != PageSketch.NONE) {
        put(feature, page);
      }
    }
  }

  /** The page with most features in common with a sketch; null if none has any. */
  @Nullable PooledPage find(int[] sketch) {
    PooledPage best = null;
    int most = 0;
    for (int feature : sketch) {
      PooledPage page = feature == PageSketch.NONE ? null : get(feature);
      int votes = page == null ? 0 : votes(sketch, page);
      if (votes > most) {
        most = votes;
        best = page;
      }
    }
    return best;
  }

  private int votes(int[] sketch, PooledPage page) {
    int votes = 0;
    for (int feature : sketch) {
      votes += feature != PageSketch.NONE && get(feature) == page ? 1 : 0;
    }
    return votes;
  }

  private @Nullable PooledPage get(int feature) {
    int place = place(feature);
    if (features[place] != feature) {
      return null;
    }
    PooledPage page = pages[place];
    return page != null && !page.isGone() ? page : null;
  }

  private void put(int feature, PooledPage page) {
    int place = place(feature);
    features[place] = feature;
    pages[place] = page;
  }

  private int place(int feature) {
    return (int) (feature * 0x9E37_79B9_7F4A_7C15L >>> 33) & features.length - 1;
  }

  private void grow() {
    int[] oldFeatures = features;
    @Nullable PooledPage[] oldPages = pages;
    features = new int[oldFeatures.length * 2];
    pages = new PooledPage[features.length];
    for (int i = 0; i < oldPages.length; i++) {
      PooledPage page = oldPages[i];
      if (page != null && !page.isGone()) {
        put(oldFeatures[i], page);
      }
    }
  }
}
