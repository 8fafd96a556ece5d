package memvisor.machine.inspect;

import java.util.List;
import java.util.Optional;
import memvisor.address.GuestVirtualAddress;
import memvisor.machine.TechniqueKind;
import memvisor.mmu.DerivedEntry;
import memvisor.paging.PagingMode;
import memvisor.paging.WalkTrace;
import memvisor.tlb.CachedTranslation;

/**
 * Everything that is to say about one linear address now; {@link #toString} says it.
 *
 * @param gva the address
 * @param technique how the guest's memory is virtualized
 * @param guest what the guest's own tables say; empty while paging is off
 * @param hardware every table entry that the hardware would read with cold caches, in order; empty
 *     where it has no tables (trap)
 * @param cached what the TLBs hold for the address
 * @param startLevel level of the table at which the hardware's walk would start now, thanks to the
 *     paging-structure caches; 0 while paging is off
 * @param nestedCached what the nested TLB holds for the guest-physical address
 * @param derived the monitor's entries that stand behind the address (shadow or nested), the root's
 *     first
 * @param derivedMode the format of those entries; empty where the technique derives none
 * @param frames under direct paging the use of each table's frame, the topmost first, and of the
 *     page's; empty under the other techniques
 * @param page what stands behind the guest-physical address; empty if the address is not mapped
 * @param conclusions what follows from it, in sentences
 */
public record Explanation(
    GuestVirtualAddress gva,
    TechniqueKind technique,
    Optional<GuestWalk> guest,
    Optional<WalkTrace> hardware,
    List<CachedTranslation> cached,
    int startLevel,
    List<CachedTranslation> nestedCached,
    List<DerivedEntry> derived,
    Optional<PagingMode> derivedMode,
    List<FrameUse> frames,
    Optional<PhysicalPage> page,
    List<String> conclusions) {
  /** Copies the lists. */
  public Explanation {
    cached = List.copyOf(cached);
    nestedCached = List.copyOf(nestedCached);
    derived = List.copyOf(derived);
    frames = List.copyOf(frames);
    conclusions = List.copyOf(conclusions);
  }

  /** Table entries that the hardware reads with cold caches. */
  public int coldReferences() {
    return hardware.map(trace -> trace.references().size()).orElse(0);
  }

  /** The explanation as text, several screens of it. */
  @Override
  public String toString() {
    return new ExplanationText(this).text();
  }
}
