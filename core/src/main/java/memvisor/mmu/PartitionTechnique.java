package memvisor.mmu;

import memvisor.memory.PartitionSlice;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * A static contiguous slice of machine memory: base and limit, nothing to do on an access and
 * nothing that can be shared.
 *
 * <p>The slice covers the holes between the VM's regions (640 KiB to 1 MiB on a PC), because a base
 * and a limit cannot describe them: host memory gives the VM the frames behind such holes too, and
 * ROM inside the slice is writable, which are this technique's limits. Memory past the slice, and
 * devices, exit.
 */
public final class PartitionTechnique implements Technique {
  private final VmBacking backing;
  private final Counters counters = new Counters();
  private final Units units = new Units();
  private final long baseHpa;
  private final long limitBytes;

  /**
   * The partition technique over one VM's memory.
   *
   * @throws IllegalArgumentException if the VM's memory was not placed in one run
   */
  public PartitionTechnique(VmBacking backing) {
    this.backing = backing;
    PartitionSlice slice =
        backing
            .slice()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "a partition needs memory placed in one contiguous run of host frames"));
    this.baseHpa = slice.baseHpa();
    this.limitBytes = slice.limitBytes();
    backing.setDerivedMappings(this);
  }

  /** First byte of the slice in machine memory. */
  public long baseHpa() {
    return baseHpa;
  }

  /** Size of the slice in bytes. */
  public long limitBytes() {
    return limitBytes;
  }

  @Override
  public String name() {
    return "partition";
  }

  @Override
  public Intercepts intercepts() {
    return Intercepts.NONE;
  }

  @Override
  public VcpuMmu attach(TranslationUnit unit, PagingState guest) {
    units.add(unit);
    unit.partition(baseHpa, limitBytes);
    return new Mmu(new EmulatedAccess(backing, guest, counters));
  }

  /** Host memory takes a slice back only as a whole, when the VM ends: hardware forgets it all. */
  @Override
  public void invalidate(long firstGfn, long count) {
    counters.invalidations++;
    units.invalidateAll();
  }

  /**
   * A base and a limit cannot take write permission away.
   *
   * @throws UnsupportedOperationException always
   */
  @Override
  public void writeProtect(long firstGfn, long count) {
    throw new UnsupportedOperationException(
        "a partition cannot be write-protected: firstGfn=0x%x count=%d".formatted(firstGfn, count));
  }

  @Override
  public TechniqueStatistics statistics() {
    return new TechniqueStatistics(name(), 0, counters.toMap());
  }

  private final class Mmu extends UninterceptedMmu {
    private final EmulatedAccess emulated;

    Mmu(EmulatedAccess emulated) {
      this.emulated = emulated;
    }

    @Override
    public void resolve(long gva, int access, TranslationResult result) {
      emulated.perform(gva, access, result);
      counters.count(result.kind);
    }
  }
}
