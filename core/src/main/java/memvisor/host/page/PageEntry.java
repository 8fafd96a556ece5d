package memvisor.host.page;

import memvisor.memory.Backing;

/**
 * The {@code long} that says where a guest page is.
 *
 * <pre>
 *   present       63..12 HPA of the frame, 3 ZERO, 2 SHARED, 0 PRESENT = 1
 *   not present   63..4  payload,          3..1 kind,        0 PRESENT = 0
 * </pre>
 *
 * The whole entry is 0 for a page never touched. The payload is a handle of the compressed pool
 * (which leaves bits 3..0 free), a swap slot or, in bits 63..32, the word of a same-filled page.
 */
public final class PageEntry {
  /** Copy on write. */
  public static final long SHARED = 1 << 2;

  /** The shared frame is the page of zeroes. */
  public static final long ZERO = 1 << 3;

  /** The entry of a page that the guest gave back by its balloon. */
  public static final long BALLOONED = 1 << 1;

  private static final long SAME_FILLED = 2 << 1;
  private static final long COMPRESSED = 3 << 1;
  private static final long SWAPPED = 4 << 1;
  private static final long KIND = 7 << 1;
  private static final int WORD_SHIFT = 32;

  private PageEntry() {}

  /** Whether the page stands on a frame that others may stand on. */
  public static boolean isShared(long entry) {
    return (entry & (SHARED | Backing.PRESENT)) == (SHARED | Backing.PRESENT);
  }

  /** Whether a frame that is this page's alone holds it. */
  public static boolean isPrivate(long entry) {
    return (entry & (SHARED | Backing.PRESENT)) == Backing.PRESENT;
  }

  /** Whether the contents left the machine's page frames but are kept. */
  public static boolean isReclaimed(long entry) {
    return !Backing.isPresent(entry) && (entry & KIND) > BALLOONED;
  }

  /** What a technique may see of the entry. */
  public static long backing(long entry) {
    return entry & ~(SHARED | ZERO);
  }

  /** The entry of a page on a shared frame. */
  public static long shared(long hpa) {
    return hpa | SHARED | Backing.PRESENT;
  }

  /** The entry of a page on the page of zeroes. */
  public static long zero(long hpa) {
    return hpa | ZERO | SHARED | Backing.PRESENT;
  }

  /** The entry of a page that is one word again and again. */
  public static long sameFilled(int word) {
    return (long) word << WORD_SHIFT | SAME_FILLED;
  }

  /** The word of a same-filled page. */
  public static int word(long entry) {
    return (int) (entry >>> WORD_SHIFT);
  }

  /** The entry of a page in the pool, by its handle there. */
  public static long compressed(long handle) {
    return handle | COMPRESSED;
  }

  /** The handle of a compressed page. */
  public static long handle(long entry) {
    return entry & ~0xFL;
  }

  /** The entry of a page in a slot of the swap file. */
  public static long swapped(int slot) {
    return (long) slot << WORD_SHIFT | SWAPPED;
  }

  /** The slot of a swapped page. */
  public static int slot(long entry) {
    return (int) (entry >>> WORD_SHIFT);
  }

  /** The state that an entry stands for. */
  public static PageState state(long entry) {
    if (Backing.isPresent(entry)) {
      return isPrivate(entry)
          ? PageState.RESIDENT
          : (entry & ZERO) != 0 ? PageState.ZERO : PageState.SHARED;
    }
    return switch ((int) (entry & KIND)) {
      case (int) BALLOONED -> PageState.BALLOONED;
      case (int) SAME_FILLED -> PageState.SAME_FILLED;
      case (int) COMPRESSED -> PageState.COMPRESSED;
      case (int) SWAPPED -> PageState.SWAPPED;
      default -> PageState.UNTOUCHED;
    };
  }
}
