package memvisor.tlb;

import java.util.List;

/**
 * The geometry of a vCPU's translation hardware. Anything can be switched off by giving it no
 * entries.
 *
 * @param instruction first-level TLBs for fetches
 * @param data first-level TLBs for loads and stores
 * @param second second-level TLBs, for both
 * @param nested TLBs of the second dimension, GPA → HPA (nested-walk cache)
 * @param structures paging-structure caches of the guest's (or host's) tables
 * @param nestedStructures paging-structure caches of the nested tables
 */
public record TlbConfiguration(
    List<Geometry> instruction,
    List<Geometry> data,
    List<Geometry> second,
    List<Geometry> nested,
    PagingStructures structures,
    PagingStructures nestedStructures) {

  /**
   * One array of entries.
   *
   * @param minimumSizeLog2 binary logarithm of the smallest page it holds
   * @param maximumSizeLog2 binary logarithm of the largest page it holds
   * @param sets number of sets, a power of two, or 0
   * @param ways entries per set
   */
  public record Geometry(int minimumSizeLog2, int maximumSizeLog2, int sets, int ways) {
    /** Number of entries. */
    public int entries() {
      return sets * ways;
    }
  }

  /**
   * Entries of the paging-structure caches, each fully associative.
   *
   * @param pml5eEntries entries that name a PML4 table
   * @param pml4eEntries entries that name a page-directory-pointer table
   * @param pdpteEntries entries that name a page directory
   * @param pdeEntries entries that name a page table
   */
  public record PagingStructures(
      int pml5eEntries, int pml4eEntries, int pdpteEntries, int pdeEntries) {
    /** No paging-structure caches. */
    public static final PagingStructures NONE = new PagingStructures(0, 0, 0, 0);
  }

  /**
   * A Skylake server core: TLBs as the Intel optimization manual lists them (first level 64 entries
   * 4-way for 4K data, 32 4-way for 2M/4M, 4 for 1G; 128 8-way for 4K code, 8 for 2M/4M; second
   * level 1536 12-way for 4K and 2M, 16 4-way for 1G). Intel does not publish the paging-structure
   * caches nor what it keeps of nested translations; those sizes follow published measurements.
   */
  public static final TlbConfiguration DEFAULT =
      new TlbConfiguration(
          List.of(new Geometry(12, 12, 16, 8), new Geometry(21, 22, 1, 8)),
          List.of(
              new Geometry(12, 12, 16, 4), new Geometry(21, 22, 8, 4), new Geometry(30, 30, 1, 4)),
          List.of(new Geometry(12, 22, 128, 12), new Geometry(30, 30, 4, 4)),
          List.of(
              new Geometry(12, 12, 16, 4), new Geometry(21, 22, 8, 4), new Geometry(30, 30, 1, 4)),
          new PagingStructures(2, 2, 4, 32),
          new PagingStructures(2, 2, 4, 32));

  /** No TLB and no cache: every access walks. */
  public static final TlbConfiguration OFF =
      new TlbConfiguration(
          List.of(), List.of(), List.of(), List.of(), PagingStructures.NONE, PagingStructures.NONE);

  /** Copies the lists. */
  public TlbConfiguration {
    instruction = List.copyOf(instruction);
    data = List.copyOf(data);
    second = List.copyOf(second);
    nested = List.copyOf(nested);
  }

  /** This configuration without paging-structure caches. */
  public TlbConfiguration withoutPagingStructures() {
    return new TlbConfiguration(
        instruction, data, second, nested, PagingStructures.NONE, PagingStructures.NONE);
  }

  /** This configuration without TLBs of combined translations. */
  public TlbConfiguration withoutTlbs() {
    return new TlbConfiguration(
        List.of(), List.of(), List.of(), nested, structures, nestedStructures);
  }

  /** This configuration without anything cached of the second dimension. */
  public TlbConfiguration withoutNestedCaches() {
    return new TlbConfiguration(
        instruction, data, second, List.of(), structures, PagingStructures.NONE);
  }
}
