package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingFormat;
import memvisor.paging.Rights;

/**
 * One radix tree GPA → HPA in the bit format of EPT or NPT, built lazily in machine frames.
 *
 * <p>Level 1 maps 4 KiB pages, level 2 2 MiB, level 3 1 GiB. A slot holds nothing, a leaf, or a
 * table below. Partial changes of a large leaf drop the leaf: it comes back, smaller if need be, at
 * the next violation.
 */
final class NestedTables {
  private static final int ENTRIES = 512;

  /** W in EPT, R/W in NPT. */
  private static final long WRITE_BIT = 1 << 1;

  private final VmBacking backing;
  private final MachineMemory machine;
  private final PagingFormat format;
  private final int levels;
  private final int maxPageSizeLog2;
  private final long root;

  /** Tables out of the tree that hardware may still have cached. */
  private final List<Long> dropped = new ArrayList<>();

  private long frames;

  /** Set when an entry that hardware may have cached was taken away or weakened. */
  private boolean stale;

  long tablesCreated;
  long leavesMapped;
  long largeLeavesMapped;
  long leavesDropped;

  NestedTables(VmBacking backing, PagingFormat format, int maxPageSizeLog2) {
    this.backing = backing;
    this.machine = backing.machine();
    this.format = format;
    this.levels = format.levels();
    this.maxPageSizeLog2 = maxPageSizeLog2;
    this.root = newTable();
    if (root < 0) {
      throw new IllegalStateException("no host frame for the root of the nested tables");
    }
  }

  long root() {
    return root;
  }

  long frames() {
    return frames;
  }

  /** Whether hardware may hold something these tables no longer say; reading it clears it. */
  boolean takeStale() {
    boolean was = stale;
    stale = false;
    return was;
  }

  private static int shift(int level) {
    return 12 + 9 * (level - 1);
  }

  private static int index(long gpa, int level) {
    return (int) (gpa >>> shift(level)) & (ENTRIES - 1);
  }

  private long slotHva(long tableHpa, long gpa, int level) {
    return machine.hva(tableHpa) + 8L * index(gpa, level);
  }

  /**
   * A is preset: an entry is made because of an access. D is, since the monitor does not read it.
   */
  private long tableEntry(long hpa) {
    return format.tableEntry(hpa, Rights.ALL) | format.accessedBit();
  }

  private long leafEntry(long hpa, int level, boolean writable) {
    int rights = writable ? Rights.ALL : Rights.ALL & ~Rights.WRITE;
    return format.leafEntry(hpa, level, rights) | format.accessedBit() | format.dirtyBit();
  }

  private long newTable() {
    long hpa = backing.allocateTable(FrameRole.NESTED_TABLE);
    if (hpa >= 0) {
      frames++;
      tablesCreated++;
    }
    return hpa;
  }

  /**
   * Maps the page around {@code gpa}, as large as its backing and the limit allow.
   *
   * @param frame a present {@link Backing} of the 4 KiB page
   * @return whether there were frames for the tables
   */
  boolean map(long gpa, long frame) {
    int leafLevel = leafLevel(gpa);
    long table = root;
    for (int level = levels; level > leafLevel; level--) {
      long slot = slotHva(table, gpa, level);
      long entry = Hva.readLong(slot);
      if (format.isPresent(entry) && !format.isLeaf(entry, level)) {
        table = format.tableAddress(entry);
        continue;
      }
      long below = newTable();
      if (below < 0) {
        return false;
      }
      drop(slot, level);
      Hva.writeLong(slot, tableEntry(below));
      table = below;
    }
    long slot = slotHva(table, gpa, leafLevel);
    drop(slot, leafLevel);
    long offset = gpa & ((1L << shift(leafLevel)) - 1) & ~0xFFFL;
    long hpa = Backing.hpa(frame) - offset;
    Hva.writeLong(slot, leafEntry(hpa, leafLevel, Backing.isWritable(frame)));
    leavesMapped++;
    if (leafLevel > 1) {
      largeLeavesMapped++;
    }
    return true;
  }

  private int leafLevel(long gpa) {
    return (backing.contiguousSizeLog2(gpa >>> 12, maxPageSizeLog2) - 12) / 9 + 1;
  }

  /** Drops or write-protects every leaf that touches {@code [gpa, end)}. */
  void forget(long gpa, long end, boolean onlyWrites) {
    forget(root, levels, 0, gpa, end, onlyWrites);
  }

  private void forget(
      long table, int level, long tableGpa, long gpa, long end, boolean onlyWrites) {
    long span = 1L << shift(level);
    long tableEnd = tableGpa + span * ENTRIES;
    long last = Math.min(end, tableEnd);
    for (long at = Math.max(gpa, tableGpa) & -span; at < last; at += span) {
      long slot = slotHva(table, at, level);
      long entry = Hva.readLong(slot);
      if (!format.isPresent(entry)) {
        continue;
      }
      if (!format.isLeaf(entry, level)) {
        forget(format.tableAddress(entry), level - 1, at, gpa, end, onlyWrites);
      } else if (!onlyWrites) {
        drop(slot, level);
      } else if ((format.rights(entry) & Rights.WRITE) != 0) {
        Hva.writeLong(slot, entry & ~WRITE_BIT);
        stale = true;
      }
    }
  }

  /**
   * Reports the frames of {@code [gpa, end)} that were accessed, and clears the flag of a leaf once
   * its last frame was asked about.
   */
  void harvestAccessed(long gpa, long end, LongConsumer accessed) {
    harvestAccessed(root, levels, 0, gpa, end, accessed);
  }

  private void harvestAccessed(
      long table, int level, long tableGpa, long gpa, long end, LongConsumer accessed) {
    long span = 1L << shift(level);
    long last = Math.min(end, tableGpa + span * ENTRIES);
    for (long at = Math.max(gpa, tableGpa) & -span; at < last; at += span) {
      long slot = slotHva(table, at, level);
      long entry = Hva.readLong(slot);
      if (!format.isPresent(entry)) {
        continue;
      }
      if (!format.isLeaf(entry, level)) {
        harvestAccessed(format.tableAddress(entry), level - 1, at, gpa, end, accessed);
      } else if ((entry & format.accessedBit()) != 0) {
        report(Math.max(gpa, at), Math.min(end, at + span), accessed);
        if (at + span <= end) {
          Hva.writeLong(slot, entry & ~format.accessedBit());
          stale = true;
        }
      }
    }
  }

  private static void report(long gpa, long end, LongConsumer accessed) {
    for (long at = gpa; at < end; at += 1 << 12) {
      accessed.accept(at >>> 12);
    }
  }

  /** Throws every entry away; only an empty root table remains. */
  void clear() {
    for (int i = 0; i < ENTRIES; i++) {
      drop(machine.hva(root) + 8L * i, levels);
    }
  }

  /** Empties one slot; the tables below it wait for {@link #releaseDropped}. */
  private void drop(long slot, int level) {
    long entry = Hva.readLong(slot);
    if (!format.isPresent(entry)) {
      return;
    }
    Hva.writeLong(slot, 0);
    stale = true;
    if (format.isLeaf(entry, level)) {
      leavesDropped++;
    } else {
      free(format.tableAddress(entry), level - 1);
    }
  }

  private void free(long table, int level) {
    if (level > 1) {
      for (int i = 0; i < ENTRIES; i++) {
        drop(machine.hva(table) + 8L * i, level);
      }
    }
    dropped.add(table);
  }

  /** Gives back tables dropped earlier; hardware must have forgotten them by now. */
  void releaseDropped() {
    for (long table : dropped) {
      backing.freeTable(table);
    }
    frames -= dropped.size();
    dropped.clear();
  }

  /** The entries on the way to {@code gpa}, the root's first, to the first that ends the walk. */
  List<DerivedEntry> path(long gpa) {
    List<DerivedEntry> path = new ArrayList<>();
    if (gpa >>> shift(levels + 1) != 0) {
      return path;
    }
    long table = root;
    for (int level = levels; level >= 1; level--) {
      long entry = Hva.readLong(slotHva(table, gpa, level));
      path.add(
          new DerivedEntry(level, table, index(gpa, level), entry, format.mode().entryName(level)));
      if (!format.isPresent(entry) || format.isLeaf(entry, level)) {
        break;
      }
      table = format.tableAddress(entry);
    }
    return path;
  }
}
