package memvisor.machine.xen;

import memvisor.boot.BootException;
import memvisor.boot.XenKernel;

/**
 * Where the domain builder puts what, in the order of libxc: one run of pages from VIRT_BASE on
 * that the bootstrap tables map (kernel, start_info, xenstore page, console page, tables, stack),
 * then what lies outside it.
 *
 * @param virtBase virtual address of guest frame 0
 * @param initrdPfn first frame of the RAM disk
 * @param initrdMapped whether the RAM disk is part of the mapping
 * @param p2mPfn first frame of the physical-to-machine list
 * @param p2mVa its address
 * @param p2mTables frames of tables that map it, behind the list; 0 inside the mapping
 * @param startInfoPfn start_info; the xenstore and the console page follow
 * @param tablesPfn first bootstrap table
 * @param tables number of bootstrap tables
 * @param mappedEnd first frame past the mapping
 * @param end first frame past everything
 */
record DomainLayout(
    long virtBase,
    long initrdPfn,
    boolean initrdMapped,
    long p2mPfn,
    long p2mVa,
    long p2mTables,
    long startInfoPfn,
    long tablesPfn,
    long tables,
    long mappedEnd,
    long end) {
  private static final int PAGE_BYTES = 4096;

  /** The mapping ends at a multiple of 4 MiB, at least 512 KiB past the stack. */
  private static final long MAPPING_ALIGNMENT = 4L << 20;

  private static final long PADDING_BYTES = 512 << 10;

  static DomainLayout of(XenKernel kernel, long pages, long initrdBytes) {
    long base = kernel.virtBase();
    long initrdPages = pages(initrdBytes);
    long p2mPages = pages(pages * 8);
    boolean initrdMapped = !kernel.takesInitrdByFrame();
    boolean p2mMapped = kernel.initialP2m().isEmpty();
    long cursor = kernel.endVa() - base >>> 12;
    long initrdPfn = cursor;
    cursor += initrdMapped ? initrdPages : 0;
    long p2mPfn = cursor;
    cursor += p2mMapped ? p2mPages : 0;
    long startInfoPfn = cursor;
    long tablesPfn = cursor + 3;
    long tables = 4;
    long end;
    while (true) {
      long used = base + (tablesPfn + tables + 1) * PAGE_BYTES + PADDING_BYTES;
      end = used + MAPPING_ALIGNMENT - 1 & -MAPPING_ALIGNMENT;
      long needed = 1 + tables(base, end);
      if (needed == tables) {
        break;
      }
      tables = needed;
    }
    long mappedEnd = end - base >>> 12;
    cursor = mappedEnd;
    if (!initrdMapped) {
      initrdPfn = cursor;
      cursor += initrdPages;
    }
    long p2mVa = base + p2mPfn * PAGE_BYTES;
    long p2mTables = 0;
    if (!p2mMapped) {
      p2mVa = kernel.initialP2m().getAsLong();
      p2mPfn = cursor;
      p2mTables = tables(p2mVa, p2mVa + p2mPages * PAGE_BYTES);
      cursor += p2mPages + p2mTables;
    }
    long last = Math.max(cursor, mappedEnd);
    if (last > pages) {
      throw new BootException(
          "the guest needs %d pages to start and has %d; give it more memory"
              .formatted(last, pages));
    }
    return new DomainLayout(
        base,
        initrdPfn,
        initrdMapped,
        p2mPfn,
        p2mVa,
        p2mTables,
        startInfoPfn,
        tablesPfn,
        tables,
        mappedEnd,
        last);
  }

  static long pages(long bytes) {
    return bytes + PAGE_BYTES - 1 >>> 12;
  }

  /** Tables of levels 1 to 3 that map {@code [start, end)}. */
  private static long tables(long start, long end) {
    long count = 0;
    for (int level = 1; level <= 3; level++) {
      count += spans(start, end, level);
    }
    return count;
  }

  /** Number of tables of one level that map {@code [start, end)}. */
  static long spans(long start, long end, int level) {
    int shift = 12 + 9 * level;
    return (end - 1 >>> shift) - (start >>> shift) + 1;
  }

  long consolePfn() {
    return startInfoPfn + 2;
  }

  long stackPfn() {
    return tablesPfn + tables;
  }

  long va(long pfn) {
    return virtBase + pfn * PAGE_BYTES;
  }
}
