package memvisor.mmu;

import memvisor.address.Access;
import memvisor.memory.Backing;
import memvisor.memory.Hva;
import memvisor.memory.VmBacking;
import memvisor.paging.AccessRules;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.paging.TableMemory;
import memvisor.paging.Walker;

/**
 * The monitor's own walk of a guest's page tables: the one {@link Walker}, with its tables reached
 * by GPA through the VM's backing.
 *
 * <p>A table outside RAM and ROM is answered as if its entry had reserved bits set: an empty bus
 * reads as ones. A and D flags of entries in ROM are not kept.
 */
final class GuestWalk implements TableMemory {
  /** Levels of a guest whose paging is off. */
  static final int PAGING_OFF = 0;

  private static final long NO_PAGING_MASK = 0xFFFF_FFFFL;

  private final VmBacking backing;
  private final PagingState guest;
  private final Walker walker;
  private final Counters counters;
  private final int[] above = new int[PagingFormat.LEVEL_LIMIT];

  private boolean paging;
  private int permissions;
  private long gpa;
  private int errorCode;

  GuestWalk(VmBacking backing, PagingState guest, Counters counters) {
    this.backing = backing;
    this.guest = guest;
    this.walker = new Walker(backing.machine(), this);
    this.counters = counters;
  }

  /** Levels of the guest's tables: 0 (off), 2, 3 (PAE, its PDPTE registers included), 4 or 5. */
  static int levels(PagingState state) {
    if (!state.paging()) {
      return PAGING_OFF;
    }
    PagingMode mode = PagingMode.of(state);
    return mode == PagingMode.PAE ? 3 : mode.levels();
  }

  /** Translates one access, setting A and D; false is a page fault with {@link #errorCode}. */
  boolean walk(long gva, int access) {
    paging = guest.paging();
    if (!paging) {
      permissions = Rights.ALL;
      gpa = gva & NO_PAGING_MASK;
      return true;
    }
    walker.load(guest);
    long referencesBefore = walker.references();
    int outcome = walker.translate(gva, access);
    if (outcome == Walker.UNREACHABLE) {
      outcome = walkWithoutFlags(gva, access);
    }
    counters.softwareWalks++;
    counters.softwareReferences += walker.references() - referencesBefore;
    if (outcome != Walker.MAPPED) {
      int seen = outcome == Walker.UNREACHABLE ? Walker.MALFORMED : outcome;
      errorCode = AccessRules.of(guest).errorCode(access, seen);
      return false;
    }
    accumulate();
    gpa = walker.physicalAddress(gva);
    return true;
  }

  /** Some entry lies in ROM, where its flags cannot be set, or outside memory. */
  private int walkWithoutFlags(long gva, int access) {
    walker.setFlagUpdates(false);
    int outcome = walker.translate(gva, access);
    walker.setFlagUpdates(true);
    return outcome;
  }

  private void accumulate() {
    PagingFormat format = walker.format();
    int rights = Rights.ALL;
    for (int level = format.levels(); level >= walker.level(); level--) {
      above[level] = rights;
      rights &= format.rights(walker.entry(level));
    }
    permissions = rights;
  }

  @Override
  public long locate(long address) {
    return locate(address, backing.frame(address >>> 12, false));
  }

  @Override
  public long locateForUpdate(long address) {
    return locate(address, backing.frame(address >>> 12, true));
  }

  private static long locate(long address, long frame) {
    if (!Backing.isPresent(frame)) {
      return UNREACHABLE;
    }
    return Backing.hpa(frame) | address & 0xFFF | (Backing.isWritable(frame) ? WRITABLE : 0);
  }

  /** Level of the entry that maps the page; 0 with paging off. */
  int leafLevel() {
    return paging ? walker.level() : 0;
  }

  /** Guest physical address of the byte. */
  long gpa() {
    return gpa;
  }

  /** {@link Rights} that all entries grant together. */
  int permissions() {
    return permissions;
  }

  /** {@link Rights} that the entries above {@code level} grant together. */
  int above(int level) {
    return above[level];
  }

  /** Error code of the page fault, when the walk failed. */
  int errorCode() {
    return errorCode;
  }

  /** Value of the entry used at {@code level}, its flags set. */
  long entry(int level) {
    return walker.entry(level);
  }

  /** Guest physical address of the table used at {@code level}. */
  long tableGfn(int level) {
    return walker.entryAddress(level) >>> 12;
  }

  /** GPA of the entry used at {@code level}. */
  long entryGpa(int level) {
    return walker.entryAddress(level);
  }

  /** Whether writes need no D flag to be set first. */
  boolean isDirty() {
    return !paging || walker.isDirty();
  }

  static boolean isUser(int access) {
    return (access & (Access.USER | Access.IMPLICIT)) == Access.USER;
  }

  /** The guest's entry at {@code entryGpa} as memory holds it now. */
  static long read(VmBacking backing, long entryGpa, int entryBytes) {
    long frame = backing.frame(entryGpa >>> 12, false);
    if (!Backing.isPresent(frame)) {
      return -1;
    }
    long hva = backing.machine().hva(Backing.hpa(frame) | entryGpa & 0xFFF);
    return entryBytes == 4 ? Hva.readInt(hva) & 0xFFFF_FFFFL : Hva.readLong(hva);
  }
}
