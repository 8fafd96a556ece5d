package memvisor.paging;

import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.jspecify.annotations.Nullable;

/**
 * The page-table walker: one for every format, reading entries through {@link TableMemory}.
 *
 * <p>Set up with {@link #use} and {@link #setRoot}, or {@link #load}; then each {@link #translate}
 * leaves its outcome in this object, and nothing is allocated. The order of checks is the manual's:
 * present, then reserved bits, at each entry from the top; access rights when the leaf is known;
 * then accessed and dirty flags (Intel SDM vol. 3A, 4.5 to 4.8).
 */
public final class Walker {
  /** The address is translated, and the access allowed. */
  public static final int MAPPED = 0;

  /** An entry is not present, or the address is not canonical or too wide. */
  public static final int NOT_PRESENT = 1;

  /** An entry has reserved bits set, or is an EPT misconfiguration. */
  public static final int MALFORMED = 2;

  /** The entries together do not allow the access. */
  public static final int DENIED = 3;

  /** An entry could not be reached through {@link TableMemory}. */
  public static final int UNREACHABLE = 4;

  /** Another processor changed an entry between its reading and the setting of its flags. */
  private static final int RACED = -1;

  private final MachineMemory machine;
  private final TableMemory tables;
  private final long[] roots = new long[4];
  private final long[] entryAddress = new long[PagingFormat.LEVEL_LIMIT];
  private final long[] entryLocation = new long[PagingFormat.LEVEL_LIMIT];
  private final long[] entryValue = new long[PagingFormat.LEVEL_LIMIT];
  private final long[] grantedAbove = new long[PagingFormat.LEVEL_LIMIT];
  private @Nullable PagingFormat format;
  private AccessRules rules = AccessRules.EPT;
  private boolean flagUpdates = true;
  private @Nullable ReferenceListener listener;

  private int level;
  private long granted;
  private long references;

  /** A walker over tables that {@code tables} locates in {@code machine}. */
  public Walker(MachineMemory machine, TableMemory tables) {
    this.machine = machine;
    this.tables = tables;
  }

  /** Chooses the format and the rules of the next walks. */
  public void use(PagingFormat newFormat, AccessRules newRules) {
    format = newFormat;
    rules = newRules;
  }

  /** Sets the address of the topmost table. */
  public void setRoot(long tableAddress) {
    roots[0] = tableAddress & PagingFormat.ROOT_ADDRESS | 1;
  }

  /** Takes format, rules and root (CR3, or the PDPTE registers) from paging registers. */
  public void load(PagingState state) {
    PagingFormat selected = PagingFormat.of(state);
    use(selected, AccessRules.of(state));
    if (selected.mode == PagingMode.PAE) {
      for (int i = 0; i < 4; i++) {
        roots[i] = state.pdpte(i);
      }
    } else {
      setRoot(selected.tableAddress(state.cr3()));
    }
  }

  /** Whether walks set accessed and dirty flags; off for walks that only explain. */
  public void setFlagUpdates(boolean on) {
    flagUpdates = on;
  }

  /** Who is told of each reference; null for nobody. */
  public void setListener(@Nullable ReferenceListener newListener) {
    listener = newListener;
  }

  /** Translates {@code address} from the root; returns one of the outcomes above. */
  public int translate(long address, int access) {
    PagingFormat f = format();
    long root = roots[(int) (address >>> f.rootShift) & f.rootMask];
    if (!f.covers(address) || (root & 1) == 0) {
      level = f.levels + 1;
      granted = 0;
      return NOT_PRESENT;
    }
    return resume(f.levels, root & PagingFormat.ROOT_ADDRESS, -1, address, access);
  }

  /**
   * Translates {@code address} from a table in the middle, as a paging-structure cache knows it.
   *
   * @param startLevel level of that table's entries
   * @param table address of the table
   * @param grantedSoFar conjunction of the entries above, from {@link #grantedAbove}
   * @param address an address that the format covers
   * @param access {@link Access} bits
   */
  public int resume(int startLevel, long table, long grantedSoFar, long address, int access) {
    int outcome;
    do {
      outcome = descend(startLevel, table, grantedSoFar, address);
      if (outcome == MAPPED && !rules.allows(rights(), access)) {
        outcome = DENIED;
      }
      if (outcome == MAPPED && flagUpdates) {
        outcome = setFlags(startLevel, access);
      }
    } while (outcome == RACED);
    return outcome;
  }

  private int descend(int startLevel, long startTable, long grantedSoFar, long address) {
    PagingFormat f = format();
    long table = startTable;
    granted = grantedSoFar;
    for (level = startLevel; ; level--) {
      long at = table + ((address >>> f.shifts[level] & f.indexMask) << f.entrySizeLog2);
      long located = tables.locate(at);
      entryAddress[level] = at;
      entryLocation[level] = located;
      if (located == TableMemory.UNREACHABLE) {
        return UNREACHABLE;
      }
      long entry = read(f, located & ~TableMemory.WRITABLE);
      references++;
      grantedAbove[level] = granted;
      granted &= entry ^ f.forbiddingBits;
      entryValue[level] = entry;
      if (listener != null) {
        listener.reference(this, level, entry);
      }
      if (!f.isPresent(entry)) {
        return NOT_PRESENT;
      }
      if (f.isMalformed(entry, level)) {
        return MALFORMED;
      }
      if (f.isLeaf(entry, level)) {
        return MAPPED;
      }
      table = f.tableAddress(entry);
    }
  }

  /** SDM vol. 3A, 4.8: A in every entry used, D in the leaf of a write, by locked updates. */
  private int setFlags(int startLevel, int access) {
    PagingFormat f = format();
    long leafFlags = f.accessedBit | ((access & Access.WRITE) != 0 ? f.dirtyBit : 0);
    for (int used = startLevel; used >= level; used--) {
      long flags = used == level ? leafFlags : f.accessedBit;
      if ((entryValue[used] & flags) != flags) {
        long located = entryLocation[used];
        if ((located & TableMemory.WRITABLE) == 0) {
          located = tables.locateForUpdate(entryAddress[used]);
          if (located == TableMemory.UNREACHABLE) {
            level = used;
            return UNREACHABLE;
          }
        }
        if (!setFlags(f, used, located & ~TableMemory.WRITABLE, flags)) {
          return RACED;
        }
      }
    }
    return MAPPED;
  }

  /**
   * Sets flags in the entry walked at {@code used}; false if it is no longer that entry. Flags that
   * appeared meanwhile do not count: another processor, or this walk through a table that names
   * itself, set them.
   */
  private boolean setFlags(PagingFormat f, int used, long hpa, long flags) {
    long hva = machine.hva(hpa);
    while (true) {
      long entry = entryValue[used];
      if (f.entrySizeLog2 == 3
          ? Hva.compareAndSetLong(hva, entry, entry | flags)
          : Hva.compareAndSetInt(hva, (int) entry, (int) (entry | flags))) {
        entryValue[used] = entry | flags;
        return true;
      }
      long now = read(f, hpa);
      if (((now ^ entry) & ~(f.accessedBit | f.dirtyBit)) != 0) {
        return false;
      }
      entryValue[used] = now;
    }
  }

  private long read(PagingFormat f, long hpa) {
    long hva = machine.hva(hpa);
    return f.entrySizeLog2 == 3 ? Hva.readLong(hva) : Hva.readInt(hva) & 0xFFFF_FFFFL;
  }

  /** The format in use. */
  public PagingFormat format() {
    PagingFormat f = format;
    if (f == null) {
      throw new IllegalStateException("a walker needs a format before it walks");
    }
    return f;
  }

  /** The rules in use. */
  public AccessRules rules() {
    return rules;
  }

  /** Level at which the last walk ended: the leaf's, or that of the entry that stopped it. */
  public int level() {
    return level;
  }

  /** {@link Rights} accumulated by the last walk, the entry that stopped it included. */
  public int rights() {
    return format().accumulatedRights(granted);
  }

  /** What the last walk translated {@code address} to, if it ended in a leaf. */
  public long physicalAddress(long address) {
    PagingFormat f = format();
    long offset = address & (1L << f.shifts[level]) - 1;
    return f.pageAddress(entryValue[level], level) | offset;
  }

  /** Binary logarithm of the size of the page that the last walk ended in. */
  public int pageSizeLog2() {
    return format().shifts[level];
  }

  /** Whether a later write needs no dirty flag to be set. */
  public boolean isDirty() {
    long bit = format().dirtyBit;
    return (entryValue[level] & bit) == bit;
  }

  /** Whether the leaf is global. */
  public boolean isGlobal() {
    return format().isGlobal(entryValue[level]);
  }

  /** Value of the entry that the last walk read at {@code atLevel}. */
  public long entry(int atLevel) {
    return entryValue[atLevel];
  }

  /** Address, in the space of the tables, of the entry that the last walk used at that level. */
  public long entryAddress(int atLevel) {
    return entryAddress[atLevel];
  }

  /** HPA of the entry that the last walk used at that level. */
  public long entryHpa(int atLevel) {
    return entryLocation[atLevel] & ~TableMemory.WRITABLE;
  }

  /** Conjunction of the entries above {@code atLevel}, for {@link #resume}. */
  public long grantedAbove(int atLevel) {
    return grantedAbove[atLevel];
  }

  /** Table entries read since this walker was made. */
  public long references() {
    return references;
  }
}
