package memvisor.paging;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import memvisor.address.Access;

/**
 * A page-table format as data: what the walker needs to know to walk it. Levels count down to 1,
 * the PTE.
 *
 * <p>Intel SDM vol. 3A, 4.3 to 4.5 (32-bit, PAE, 4-level, 5-level paging) and vol. 3C, 29.3 (EPT);
 * AMD APM vol. 2, 15.25 (NPT, the processor's own long-mode format). What controls change (PSE,
 * NXE, MAXPHYADDR) is part of the data, so that a format is one of a few hundred immutable values.
 */
public final class PagingFormat {
  /** Number of the highest level any format has, plus one: length of arrays indexed by level. */
  public static final int LEVEL_LIMIT = 6;

  /** Address bits of a root register: CR3, a PDPTE register, an EPTP. */
  static final long ROOT_ADDRESS = 0x000F_FFFF_FFFF_F000L;

  private static final int NXE = 1;
  private static final int PSE = 2;
  private static final AtomicReferenceArray<PagingFormat> X86_FORMATS =
      new AtomicReferenceArray<>(4 * 64 * 4);

  final PagingMode mode;
  final int levels;
  final int entrySizeLog2;
  final int indexMask;
  final int rootShift;
  final int rootMask;
  final int[] shifts = new int[LEVEL_LIMIT];

  /** An entry with none of these bits is not present. */
  final long presentBits;

  /** A present entry with any of these bits, by level, maps a page. */
  final long[] leafBits = new long[LEVEL_LIMIT];

  final long tableAddress;
  final long[] leafAddress = new long[LEVEL_LIMIT];

  /** PSE-36: bits 20–13 of a 4 MiB PDE hold address bits 39–32; a shift left by 19. */
  final long[] leafHighAddress = new long[LEVEL_LIMIT];

  final long[] tableReserved = new long[LEVEL_LIMIT];
  final long[] leafReserved = new long[LEVEL_LIMIT];

  /** Bit n: an entry whose bits 2–0 are n is malformed. */
  final int illegalRights;

  /** Bit n: a leaf whose bits 5–3 are n is malformed. */
  final int illegalMemoryTypes;

  /** Rights bits that forbid when set. */
  final long forbiddingBits;

  final int userBit;
  final int executeBit;
  final long accessedBit;
  final long dirtyBit;
  private final long leafFlags;

  private PagingFormat(PagingMode mode, int physicalAddressBits, boolean noExecute, boolean pse) {
    this(mode, physicalAddressBits, noExecute, pse, true, true);
  }

  private PagingFormat(
      PagingMode mode,
      int physicalAddressBits,
      boolean noExecute,
      boolean pse,
      boolean accessedDirty,
      boolean executeOnly) {
    if (physicalAddressBits < 32 || physicalAddressBits > 52) {
      throw new IllegalArgumentException(
          "MAXPHYADDR out of 32 to 52: physicalAddressBits=" + physicalAddressBits);
    }
    boolean ept = mode.isEpt();
    boolean narrow = mode == PagingMode.BITS_32;
    this.mode = mode;
    levels = mode.levels();
    entrySizeLog2 = narrow ? 2 : 3;
    indexMask = narrow ? 0x3FF : 0x1FF;
    rootShift = mode == PagingMode.PAE ? 30 : 0;
    rootMask = mode == PagingMode.PAE ? 3 : 0;
    presentBits = ept ? 7 : 1;
    tableAddress = narrow ? 0xFFFF_F000L : bits(51, 12);
    forbiddingBits = ept || narrow ? 0 : 1L << 63;
    userBit = ept ? 0 : 2;
    executeBit = ept ? 2 : narrow ? 0 : 63;
    accessedBit = ept ? (accessedDirty ? 1L << 8 : 0) : 1L << 5;
    dirtyBit = ept ? (accessedDirty ? 1L << 9 : 0) : 1L << 6;
    illegalRights = ept ? 1 << 2 | 1 << 6 | (executeOnly ? 0 : 1 << 4) : 0;
    illegalMemoryTypes = ept ? 1 << 2 | 1 << 3 | 1 << 7 : 0;
    leafFlags = ept ? 6 << 3 : 0;
    for (int level = 1; level <= levels; level++) {
      shifts[level] = 12 + (level - 1) * (narrow ? 10 : 9);
      boolean large = level == 3 && !narrow || level == 2 && (!narrow || pse);
      leafBits[level] = level == 1 ? presentBits : large ? 1 << 7 : 0;
      leafAddress[level] = tableAddress & -(1L << shifts[level]);
    }
    if (narrow) {
      int width = Math.min(physicalAddressBits, 40);
      leafHighAddress[2] = width > 32 ? bits(width - 20, 13) : 0;
      leafReserved[2] = bits(21, width - 19);
    } else {
      fillReserved(physicalAddressBits, ept, noExecute);
    }
  }

  /**
   * SDM vol. 3A tables 4-8 to 4-11 (PAE), 4-14 to 4-20 (4-level, 5-level); vol. 3C tables 29-1 to
   * 29-7 (EPT).
   */
  private void fillReserved(int physicalAddressBits, boolean ept, boolean noExecute) {
    int addressTop = mode == PagingMode.PAE ? 62 : 51;
    long common = bits(addressTop, physicalAddressBits) | (ept || noExecute ? 0 : 1L << 63);
    for (int level = 1; level <= levels; level++) {
      boolean canBeLarge = leafBits[level] != 0;
      tableReserved[level] = common | (canBeLarge ? 0 : 1 << 7) | (ept ? bits(6, 3) : 0);
      int lowest = ept ? 12 : 13;
      leafReserved[level] = common | (level == 1 ? 0 : bits(shifts[level] - 1, lowest));
    }
  }

  /** Bits {@code high} to {@code low}, both inclusive; none when {@code high < low}. */
  private static long bits(int high, int low) {
    return high < low ? 0 : -1L >>> 63 - high + low << low;
  }

  /** The format that CR0, CR4, EFER and MAXPHYADDR select; paging must be on. */
  public static PagingFormat of(PagingState state) {
    PagingMode mode = PagingMode.of(state);
    boolean noExecute = (state.efer() & PagingState.EFER_NXE) != 0;
    boolean pse = (state.cr4() & PagingState.CR4_PSE) != 0;
    return x86(mode, state.physicalAddressBits(), noExecute, pse);
  }

  /**
   * A format of the processor's own.
   *
   * @param mode one of the four modes of ordinary paging
   * @param physicalAddressBits MAXPHYADDR, 32 to 52
   * @param noExecute EFER.NXE
   * @param pse CR4.PSE, which matters to 32-bit paging only
   */
  public static PagingFormat x86(
      PagingMode mode, int physicalAddressBits, boolean noExecute, boolean pse) {
    if (mode.isNested()) {
      throw new IllegalArgumentException("not a format of ordinary paging: mode=" + mode);
    }
    int flags = (noExecute ? NXE : 0) | (pse ? PSE : 0);
    int key = (mode.ordinal() * 64 + physicalAddressBits) * 4 + flags;
    PagingFormat known = X86_FORMATS.get(key);
    if (known == null) {
      known = new PagingFormat(mode, physicalAddressBits, noExecute, pse);
      X86_FORMATS.set(key, known);
    }
    return known;
  }

  /**
   * Extended page tables.
   *
   * @param levels 4 or 5
   * @param physicalAddressBits MAXPHYADDR
   * @param accessedDirty EPTP bit 6: accessed and dirty flags are on
   */
  public static PagingFormat ept(int levels, int physicalAddressBits, boolean accessedDirty) {
    PagingMode mode = levels == 5 ? PagingMode.EPT_5 : PagingMode.EPT_4;
    return new PagingFormat(mode, physicalAddressBits, true, true, accessedDirty, true);
  }

  /**
   * Nested page tables: long-mode tables of the host.
   *
   * @param levels 4 or 5
   * @param physicalAddressBits MAXPHYADDR
   */
  public static PagingFormat npt(int levels, int physicalAddressBits) {
    PagingMode mode = levels == 5 ? PagingMode.NPT_5 : PagingMode.NPT_4;
    return new PagingFormat(mode, physicalAddressBits, true, true);
  }

  /** Which format this is. */
  public PagingMode mode() {
    return mode;
  }

  /** Number of levels that are read from memory (PAE: 2, for its PDPTEs are registers). */
  public int levels() {
    return levels;
  }

  /** Size of an entry, 4 or 8. */
  public int entrySizeBytes() {
    return 1 << entrySizeLog2;
  }

  /** Entries of a table, 512 or 1024. */
  public int entriesPerTable() {
    return indexMask + 1;
  }

  /** Binary logarithm of what one entry of {@code level} covers. */
  public int shift(int level) {
    return shifts[level];
  }

  /** Index of the entry for {@code address} in a table of {@code level}. */
  public int index(long address, int level) {
    return (int) (address >>> shifts[level]) & indexMask;
  }

  /** Whether {@code address} can be translated: canonical, or within the width of the format. */
  public boolean covers(long address) {
    int width = mode.addressBits();
    return mode.signExtended()
        ? address << 64 - width >> 64 - width == address
        : address >>> width == 0;
  }

  /** Whether {@code entry} is present. */
  public boolean isPresent(long entry) {
    return (entry & presentBits) != 0;
  }

  /** Whether a present {@code entry} of {@code level} maps a page. */
  public boolean isLeaf(long entry, int level) {
    return (entry & leafBits[level]) != 0;
  }

  /**
   * Whether a present entry has a reserved bit set or, for EPT, is misconfigured (SDM vol. 3C,
   * 29.3.3.1).
   */
  public boolean isMalformed(long entry, int level) {
    boolean leaf = isLeaf(entry, level);
    long reserved = leaf ? leafReserved[level] : tableReserved[level];
    return (entry & reserved) != 0
        || (illegalRights >>> (entry & 7) & 1) != 0
        || leaf && (illegalMemoryTypes >>> (entry >>> 3 & 7) & 1) != 0;
  }

  /** Address of the table that a present, non-leaf entry names. */
  public long tableAddress(long entry) {
    return entry & tableAddress;
  }

  /** Address of the page that a leaf of {@code level} names. */
  public long pageAddress(long entry, int level) {
    return entry & leafAddress[level] | (entry & leafHighAddress[level]) << 19;
  }

  /** {@link Rights} that one present entry grants. */
  public int rights(long entry) {
    return accumulatedRights(entry ^ forbiddingBits);
  }

  /** Rights of a conjunction of entries, each taken with its forbidding bits inverted. */
  int accumulatedRights(long granting) {
    return (int) (granting & 3)
        | (int) (granting >>> userBit & 1) << 2
        | (int) (granting >>> executeBit & 1) << 3;
  }

  /** A leaf has the G flag and the format has global pages (CR4.PGE is the caller's business). */
  public boolean isGlobal(long leaf) {
    return !mode.isNested() && (leaf & 1 << 8) != 0;
  }

  /** Mask of the accessed flag; 0 when the format has none or does not use it. */
  public long accessedBit() {
    return accessedBit;
  }

  /** Mask of the dirty flag of a leaf; 0 when the format has none or does not use it. */
  public long dirtyBit() {
    return dirtyBit;
  }

  /**
   * How a second dimension of this format sees the reading of a guest's table entry: a user write
   * for NPT (AMD APM vol. 2, 15.25.6) and, with EPT accessed and dirty flags, a write as well (SDM
   * vol. 3C, 29.3.5); else a read.
   */
  public int guestTableAccess() {
    if (mode.isEpt()) {
      return dirtyBit != 0 ? NestedFaultLayout.TABLE_READ_AND_WRITE : Access.READ;
    }
    return Access.WRITE | Access.USER;
  }

  /** An entry that names the table at {@code tableHpa} and grants {@code rights}. */
  public long tableEntry(long tableHpa, int rights) {
    return tableHpa | rightsBits(rights);
  }

  /** An entry of {@code level} that maps the page at {@code pageHpa}; EPT gets memory type WB. */
  public long leafEntry(long pageHpa, int level, int rights) {
    long high = pageHpa >>> 19 & leafHighAddress[level];
    return pageHpa & leafAddress[level]
        | high
        | rightsBits(rights)
        | leafFlags
        | (level == 1 ? 0 : leafBits[level]);
  }

  private long rightsBits(int rights) {
    long read = rights & Rights.READ;
    long write = rights & Rights.WRITE;
    if (mode.isEpt()) {
      return read | write | (rights & Rights.EXECUTE) >>> 1;
    }
    return (rights == 0 ? 0 : 1)
        | write
        | rights & Rights.USER
        | ((rights & Rights.EXECUTE) == 0 ? forbiddingBits : 0);
  }

  @Override
  public String toString() {
    return mode + " " + Arrays.toString(Arrays.copyOfRange(shifts, 1, levels + 1));
  }
}
