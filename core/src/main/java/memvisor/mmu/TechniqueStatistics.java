package memvisor.mmu;

import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a technique has done and what it costs, at one moment.
 *
 * @param name the technique's name
 * @param tableFrames host frames that its derived tables occupy now
 * @param counters named counts, in alphabetical order; the names are stable and hyphenated
 */
public record TechniqueStatistics(String name, long tableFrames, SortedMap<String, Long> counters) {
  /** Counter: walks of the guest's tables by the monitor. */
  public static final String SOFTWARE_WALKS = "software-walks";

  /** Counter: entries of the guest's tables that the monitor read in those walks. */
  public static final String SOFTWARE_REFERENCES = "software-references";

  /** Copies the counters. */
  public TechniqueStatistics {
    counters = Collections.unmodifiableSortedMap(new TreeMap<>(counters));
  }

  /** The counter called {@code counter}, 0 if the technique does not keep it. */
  public long counter(String counter) {
    return counters.getOrDefault(counter, 0L);
  }
}
