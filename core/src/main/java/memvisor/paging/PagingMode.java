package memvisor.paging;

/** The page-table formats that Memvisor walks. */
public enum PagingMode {
  /** 32-bit paging: two levels, 4-byte entries, 4 MiB pages with CR4.PSE (SDM vol. 3A, 4.3). */
  BITS_32(2, 32, false),
  /** PAE paging: four PDPTE registers, then two levels (SDM vol. 3A, 4.4). */
  PAE(2, 32, false),
  /** 4-level paging, 48-bit linear addresses (SDM vol. 3A, 4.5). */
  LEVELS_4(4, 48, true),
  /** 5-level paging, 57-bit linear addresses (SDM vol. 3A, 4.5). */
  LEVELS_5(5, 57, true),
  /** Extended page tables, 4 levels (SDM vol. 3C, 29.3). */
  EPT_4(4, 48, false),
  /** Extended page tables, 5 levels. */
  EPT_5(5, 57, false),
  /** Nested page tables, 4 levels (AMD APM vol. 2, 15.25). */
  NPT_4(4, 48, false),
  /** Nested page tables, 5 levels. */
  NPT_5(5, 57, false);

  private final int levels;
  private final int addressBits;
  private final boolean signExtended;

  PagingMode(int levels, int addressBits, boolean signExtended) {
    this.levels = levels;
    this.addressBits = addressBits;
    this.signExtended = signExtended;
  }

  /** The mode that CR4.PAE, EFER.LMA and CR4.LA57 select (SDM vol. 3A, 4.1.1). */
  public static PagingMode of(PagingState state) {
    if ((state.cr4() & PagingState.CR4_PAE) == 0) {
      return BITS_32;
    }
    if (!state.longMode()) {
      return PAE;
    }
    return (state.cr4() & PagingState.CR4_LA57) != 0 ? LEVELS_5 : LEVELS_4;
  }

  /** Levels read from memory. */
  public int levels() {
    return levels;
  }

  /** Width of the addresses that are translated. */
  public int addressBits() {
    return addressBits;
  }

  /** Whether the bits above the width repeat the highest one (canonical) or are zero. */
  public boolean signExtended() {
    return signExtended;
  }

  /** Whether this is a second dimension: it translates guest physical addresses. */
  public boolean isNested() {
    return ordinal() >= EPT_4.ordinal();
  }

  /** Whether entries have the EPT layout. */
  public boolean isEpt() {
    return this == EPT_4 || this == EPT_5;
  }

  /** How this format's faults are reported; ordinary paging borrows the EPT layout. */
  public NestedFaultLayout faultLayout() {
    return isNested() && !isEpt()
        ? NestedFaultLayout.NESTED_PAGE_FAULT
        : NestedFaultLayout.EPT_VIOLATION;
  }

  /** The manual's name for an entry of {@code level}, 1 to 5. */
  public String entryName(int level) {
    String name =
        switch (level) {
          case 1 -> "PTE";
          case 2 -> "PDE";
          case 3 -> "PDPTE";
          case 4 -> "PML4E";
          case 5 -> "PML5E";
          default -> throw new IllegalArgumentException("no such level: level=" + level);
        };
    return isEpt() ? "EPT " + name : isNested() ? "n" + name : name;
  }
}
