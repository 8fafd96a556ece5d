package memvisor.host.page;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.function.LongConsumer;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/**
 * The map from guest frames to host frames of one VM: one {@code long} per 4 KiB page of each
 * region.
 *
 * <p>An entry is a {@link PageEntry}; whether it may be written follows from the region, the dirty
 * log and the entry. Reads need no lock; writers hold the VM's.
 */
public final class GuestFrames {
  private static final VarHandle ENTRY = MethodHandles.arrayElementVarHandle(long[].class);

  private final long[] firstGfn;
  private final long[] endGfn;
  private final boolean[] readOnly;
  private final long[][] entries;
  private final long[] byState = new long[PageState.values().length];

  GuestFrames(GuestMemoryMap map) {
    int count = map.regions().size();
    firstGfn = new long[count];
    endGfn = new long[count];
    readOnly = new boolean[count];
    entries = new long[count][];
    for (int i = 0; i < count; i++) {
      MemoryRegion region = map.regions().get(i);
      firstGfn[i] = region.gpa() >>> 12;
      endGfn[i] = region.end() >>> 12;
      readOnly[i] = region.kind() == MemoryRegion.Kind.ROM;
      entries[i] = new long[(int) (endGfn[i] - firstGfn[i])];
      byState[PageState.UNTOUCHED.ordinal()] += entries[i].length;
    }
  }

  /** The region that holds {@code gfn}, or -1. */
  public int region(long gfn) {
    for (int i = 0; i < firstGfn.length; i++) {
      if (gfn >= firstGfn[i] && gfn < endGfn[i]) {
        return i;
      }
    }
    return -1;
  }

  /** Number of regions of memory, numbered from 0. */
  public int regionCount() {
    return firstGfn.length;
  }

  /** Number of pages of all regions. */
  public long pageCount() {
    long pages = 0;
    for (long[] region : entries) {
      pages += region.length;
    }
    return pages;
  }

  /** The first page of a region. */
  public long firstGfn(int region) {
    return firstGfn[region];
  }

  /** The first page after a region. */
  public long endGfn(int region) {
    return endGfn[region];
  }

  /** Whether a region is ROM. */
  public boolean isReadOnly(int region) {
    return readOnly[region];
  }

  /** The entry of {@code gfn}, which lies in {@code region}. */
  public long get(int region, long gfn) {
    return (long) ENTRY.getAcquire(entries[region], (int) (gfn - firstGfn[region]));
  }

  /** Publishes an entry: whoever reads it also sees the frame's contents. */
  public void set(int region, long gfn, long entry) {
    byState[PageEntry.state(get(region, gfn)).ordinal()]--;
    byState[PageEntry.state(entry).ordinal()]++;
    ENTRY.setRelease(entries[region], (int) (gfn - firstGfn[region]), entry);
  }

  /** Whether every page of {@code [gfn, gfn + count)}, all in {@code region}, is untouched. */
  public boolean isEmpty(int region, long gfn, long count) {
    for (long page = gfn; page < gfn + count; page++) {
      if (get(region, page) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Takes the part of a range that lies in one region. */
  @FunctionalInterface
  public interface Part {
    void accept(int region, long firstGfn, long endGfn);
  }

  /**
   * Splits {@code [firstGfn, firstGfn + count)}, any range, by region; leaves out what is no RAM.
   */
  public void forEachRam(long firstGfn, long count, Part action) {
    long end = count > Long.MAX_VALUE - firstGfn ? Long.MAX_VALUE : firstGfn + count;
    for (int region = 0; region < entries.length; region++) {
      long first = Math.max(firstGfn, this.firstGfn[region]);
      long last = Math.min(end, endGfn[region]);
      if (first < last && !readOnly[region]) {
        action.accept(region, first, last);
      }
    }
  }

  /** Number of pages in each state, by ordinal. */
  public long[] countsByState() {
    return byState.clone();
  }

  /** Hands every page that is not in state UNTOUCHED to {@code action}. */
  public void forEach(PageAction action) {
    for (int region = 0; region < entries.length; region++) {
      for (long gfn = firstGfn[region]; gfn < endGfn[region]; gfn++) {
        long entry = get(region, gfn);
        if (entry != 0) {
          action.accept(region, gfn, entry);
        }
      }
    }
  }

  /** What is done with a page. */
  @FunctionalInterface
  public interface PageAction {
    void accept(int region, long gfn, long entry);
  }

  /** Empties the map and hands every entry that was in it to {@code action}. */
  public void drain(LongConsumer action) {
    forEach(
        (region, gfn, entry) -> {
          set(region, gfn, 0);
          action.accept(entry);
        });
  }

  /**
   * Recounts the states.
   *
   * @throws IllegalStateException with both counts if they disagree
   */
  public void audit() {
    long[] counted = new long[byState.length];
    forEach((region, gfn, entry) -> counted[PageEntry.state(entry).ordinal()]++);
    counted[0] = byState[0];
    long pages = pageCount();
    if (!Arrays.equals(counted, byState) || Arrays.stream(byState).sum() != pages) {
      throw new IllegalStateException(
          "guest pages by state: kept %s, counted %s, pages=%d"
              .formatted(Arrays.toString(byState), Arrays.toString(counted), pages));
    }
  }
}
