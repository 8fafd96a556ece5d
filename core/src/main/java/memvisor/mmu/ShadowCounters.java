package memvisor.mmu;

import java.util.SortedMap;

/** What the shadow technique counts beyond {@link Counters}. */
final class ShadowCounters {
  long pagesCreated;
  long pagesZapped;
  long pagesReclaimed;
  long floods;
  long leavesMapped;
  long largeLeavesMapped;
  long leavesDropped;
  long unsynchronisations;
  long resynchronisations;
  long entriesResynchronised;
  long trackedWrites;
  long cr3Loads;
  long cachedRootHits;
  long controlChanges;
  long invlpgs;
  long invpcids;
  long writeProtections;
  long largePagesSplit;
  long raceRetries;
  long flushes;

  void addTo(SortedMap<String, Long> map) {
    map.put("shadow-pages-created", pagesCreated);
    map.put("shadow-pages-zapped", pagesZapped);
    map.put("shadow-pages-reclaimed", pagesReclaimed);
    map.put("write-floods", floods);
    map.put("leaves-mapped", leavesMapped);
    map.put("large-leaves-mapped", largeLeavesMapped);
    map.put("leaves-dropped", leavesDropped);
    map.put("unsynchronised", unsynchronisations);
    map.put("resynchronised", resynchronisations);
    map.put("entries-resynchronised", entriesResynchronised);
    map.put("tracked-writes", trackedWrites);
    map.put("cr3-loads", cr3Loads);
    map.put("cached-root-hits", cachedRootHits);
    map.put("paging-control-changes", controlChanges);
    map.put("invlpg", invlpgs);
    map.put("invpcid", invpcids);
    map.put("write-protections", writeProtections);
    map.put("large-pages-split", largePagesSplit);
    map.put("race-retries", raceRetries);
    map.put("tlb-flushes", flushes);
  }
}
