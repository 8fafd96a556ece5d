package memvisor.host.page;

/** Where the contents of a guest page are. */
public enum PageState {
  /** Never touched: reads as zeroes. */
  UNTOUCHED,
  /** In a frame of its own. */
  RESIDENT,
  /** The one page of zeroes stands behind it, copied when it is written. */
  ZERO,
  /** A frame shared with equal pages stands behind it, copied when it is written. */
  SHARED,
  /** Given up by the guest: reads as zeroes. */
  BALLOONED,
  /** One word, repeated. */
  SAME_FILLED,
  /** Compressed in machine memory. */
  COMPRESSED,
  /** In the swap file. */
  SWAPPED;

  /** Whether the page has contents, but no frame that holds them as they are. */
  public boolean isKeptElsewhere() {
    return this == SAME_FILLED || this == COMPRESSED || this == SWAPPED;
  }
}
