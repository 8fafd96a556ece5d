package memvisor.tlb;

import java.util.List;
import memvisor.paging.Rights;

/**
 * One level of TLB: a few set-associative arrays, each for a range of page sizes.
 *
 * <p>An entry maps a page to HPA with the rights of both dimensions, and remembers the GPA it was
 * derived from. {@link #find} leaves the slot found in this object.
 *
 * <pre>
 *   flags  bits 0–3    guest rights
 *          bits 4–7    rights of the second dimension
 *          bit  8      DIRTY: a write needs no dirty flag to be set, in either dimension
 *          bit  9      GPA_KNOWN
 *          bit  10     GLOBAL
 *          bits 16–20  binary logarithm of the guest's page size, which may exceed the entry's
 * </pre>
 */
final class Tlb {
  /** Writes may use the entry, if the rights allow. */
  static final int DIRTY = 1 << 8;

  /** The guest-physical address in the entry is meaningful. */
  static final int GPA_KNOWN = 1 << 9;

  /** The entry is global: it outlives a change of PCID. */
  static final int GLOBAL = 1 << 10;

  /** Position of the rights of the second dimension. */
  static final int DIMENSION_SHIFT = 4;

  /** Position of the guest's page size. */
  static final int PAGE_SIZE_SHIFT = 16;

  private final SetAssociativeCache[] arrays;
  private final int[] minimumSizeLog2;
  private final int[] maximumSizeLog2;
  private final AddressSpace space;

  private SetAssociativeCache found;
  private int slot;

  Tlb(List<TlbConfiguration.Geometry> geometries, AddressSpace space) {
    int count = geometries.size();
    this.space = space;
    arrays = new SetAssociativeCache[count];
    minimumSizeLog2 = new int[count];
    maximumSizeLog2 = new int[count];
    for (int i = 0; i < count; i++) {
      TlbConfiguration.Geometry geometry = geometries.get(i);
      arrays[i] = new SetAssociativeCache(geometry.sets(), geometry.ways());
      minimumSizeLog2[i] = geometry.minimumSizeLog2();
      maximumSizeLog2[i] = geometry.maximumSizeLog2();
    }
    found = new SetAssociativeCache(0, 0);
  }

  /** Whether an entry of the current address space covers {@code address}. */
  boolean find(long address) {
    for (SetAssociativeCache array : arrays) {
      for (long sizes = array.sizesSeen(); sizes != 0; sizes &= sizes - 1) {
        int at = array.find(address, Long.numberOfTrailingZeros(sizes), space);
        if (at != SetAssociativeCache.MISS) {
          found = array;
          slot = at;
          return true;
        }
      }
    }
    return false;
  }

  /** HPA of {@code address} by the entry found. */
  long hpa(long address) {
    return found.target[slot] | address & (1L << found.sizeLog2(slot)) - 1;
  }

  /** GPA of {@code address} by the entry found; -1 if not known. */
  long gpa(long address) {
    return (found.flags[slot] & GPA_KNOWN) == 0
        ? -1
        : found.detail[slot] | address & (1L << found.sizeLog2(slot)) - 1;
  }

  /** Flags of the entry found. */
  int flags() {
    return found.flags[slot];
  }

  /** Page size of the entry found. */
  int sizeLog2() {
    return found.sizeLog2(slot);
  }

  /**
   * Adds an entry; a page larger than any array holds is entered as the part around it.
   *
   * @return binary logarithm of the size that was entered
   */
  int fill(long address, long hpa, long gpa, int sizeLog2, int flags) {
    for (int i = arrays.length - 1; i >= 0; i--) {
      int size = Math.min(sizeLog2, maximumSizeLog2[i]);
      if (size >= minimumSizeLog2[i]) {
        put(arrays[i], address, hpa, gpa, size, flags);
        return size;
      }
    }
    return sizeLog2;
  }

  private void put(
      SetAssociativeCache array, long address, long hpa, long gpa, int size, int flags) {
    int at = array.fill(address, size, space, (flags & GLOBAL) != 0);
    if (at != SetAssociativeCache.MISS) {
      long base = -1L << size;
      array.target[at] = hpa & base;
      array.detail[at] = gpa & base;
      array.flags[at] = flags;
    }
  }

  /** Adds what is held for {@code address}, if anything, to a list for people; changes nothing. */
  void describe(String name, long address, List<CachedTranslation> into) {
    for (SetAssociativeCache array : arrays) {
      for (long sizes = array.sizesSeen(); sizes != 0; sizes &= sizes - 1) {
        int sizeLog2 = Long.numberOfTrailingZeros(sizes);
        int at = array.probe(address, sizeLog2, space);
        if (at != SetAssociativeCache.MISS) {
          into.add(describe(name, array, at, address & -1L << sizeLog2));
          return;
        }
      }
    }
  }

  private static CachedTranslation describe(
      String name, SetAssociativeCache array, int at, long page) {
    int flags = array.flags[at];
    return new CachedTranslation(
        name,
        page,
        array.sizeLog2(at),
        array.target[at],
        (flags & GPA_KNOWN) != 0 ? array.detail[at] : -1,
        flags & Rights.ALL,
        (flags & DIRTY) != 0,
        (flags & GLOBAL) != 0);
  }

  /** Drops the page around {@code address} in the current space, global or not. */
  void dropPage(long address) {
    for (SetAssociativeCache array : arrays) {
      array.dropPage(address, space);
    }
  }

  /** Drops every entry derived from guest-physical range {@code [start, end)}. */
  void dropGuestPhysical(long start, long end) {
    for (SetAssociativeCache array : arrays) {
      array.dropDetail(start, end);
    }
  }
}
