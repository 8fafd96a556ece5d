package memvisor.mmu.direct;

import java.util.SortedMap;
import java.util.TreeMap;

/** Plain counts of the work of direct paging; read through {@code TechniqueStatistics}. */
final class DirectCounters {
  long entryUpdates;
  long fastUpdates;
  long refusedUpdates;
  long rawUpdates;
  long emulatedWrites;
  long refusedWrites;
  long tablesValidated;
  long entriesValidated;
  long tablesReleased;
  long pins;
  long unpins;
  long typeFlushes;
  long rootLoads;
  long modeSwitches;
  long pageFaults;

  SortedMap<String, Long> toMap() {
    SortedMap<String, Long> map = new TreeMap<>();
    map.put("entry-updates", entryUpdates);
    map.put("fast-updates", fastUpdates);
    map.put("refused-updates", refusedUpdates);
    map.put("raw-updates", rawUpdates);
    map.put("emulated-writes", emulatedWrites);
    map.put("refused-writes", refusedWrites);
    map.put("tables-validated", tablesValidated);
    map.put("entries-validated", entriesValidated);
    map.put("tables-released", tablesReleased);
    map.put("pins", pins);
    map.put("unpins", unpins);
    map.put("type-flushes", typeFlushes);
    map.put("root-loads", rootLoads);
    map.put("mode-switches", modeSwitches);
    map.put("guest-page-faults", pageFaults);
    return map;
  }
}
