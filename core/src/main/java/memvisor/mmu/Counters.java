package memvisor.mmu;

import java.util.SortedMap;
import java.util.TreeMap;
import memvisor.tlb.TranslationResult;

/** Plain counts of what a technique was asked to do; read through {@link TechniqueStatistics}. */
final class Counters {
  long translationExits;
  long guestPageFaults;
  long deviceAccesses;
  long discardedWrites;
  long emulatedAccesses;
  long mapped;
  long invalidations;
  long softwareWalks;
  long softwareReferences;

  SortedMap<String, Long> toMap() {
    SortedMap<String, Long> map = new TreeMap<>();
    map.put("exits", translationExits);
    map.put("guest-page-faults", guestPageFaults);
    map.put("device-accesses", deviceAccesses);
    map.put("discarded-writes", discardedWrites);
    map.put("emulated-accesses", emulatedAccesses);
    map.put("repaired", mapped);
    map.put("host-invalidations", invalidations);
    map.put(TechniqueStatistics.SOFTWARE_WALKS, softwareWalks);
    map.put(TechniqueStatistics.SOFTWARE_REFERENCES, softwareReferences);
    return map;
  }

  /** Counts the outcome of one translation exit. */
  void count(int kind) {
    translationExits++;
    switch (kind) {
      case TranslationResult.PAGE_FAULT -> guestPageFaults++;
      case TranslationResult.DEVICE -> deviceAccesses++;
      case TranslationResult.DISCARD -> discardedWrites++;
      case TranslationResult.MAPPED -> emulatedAccesses++;
      case TranslationResult.RETRY -> mapped++;
      default -> {
        // TRAPPED, NESTED_FAULT and FAILED are no outcomes that are worth a count.
      }
    }
  }
}
