package memvisor.machine.inspect;

import java.util.List;
import java.util.Optional;
import memvisor.machine.TechniqueKind;
import memvisor.mmu.DerivedEntry;
import memvisor.paging.PagingMode;
import memvisor.tlb.CachedTranslation;

/**
 * Everything that is to say about one guest-physical address now; {@link #toString} says it.
 *
 * @param technique how the guest's memory is virtualized
 * @param page what stands behind the address
 * @param derived the nested entries that translate it, the root's first; empty under the other
 *     techniques
 * @param derivedMode the format of those entries
 * @param cached what the nested TLB holds for it
 * @param frame what its frame is in use as, under direct paging
 * @param conclusions what follows from it, in sentences
 */
public record PhysicalExplanation(
    TechniqueKind technique,
    PhysicalPage page,
    List<DerivedEntry> derived,
    Optional<PagingMode> derivedMode,
    List<CachedTranslation> cached,
    Optional<FrameUse> frame,
    List<String> conclusions) {
  /** Copies the lists. */
  public PhysicalExplanation {
    derived = List.copyOf(derived);
    cached = List.copyOf(cached);
    conclusions = List.copyOf(conclusions);
  }

  /** The explanation as text. */
  @Override
  public String toString() {
    return ExplanationText.of(this);
  }
}
