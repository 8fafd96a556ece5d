package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import memvisor.tlb.TranslationUnit;

/** The translation units of all vCPUs that a technique has taken charge of. */
final class Units {
  private final List<TranslationUnit> units = new ArrayList<>();

  void add(TranslationUnit unit) {
    units.add(unit);
  }

  void invalidateAll() {
    for (TranslationUnit unit : units) {
      unit.invalidateAll();
    }
  }

  void invalidateNested(long gpa, long sizeBytes) {
    for (TranslationUnit unit : units) {
      unit.invalidateNested(gpa, sizeBytes);
    }
  }
}
