package memvisor.lab;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import memvisor.machine.ExitReason;
import memvisor.machine.GuestState;
import memvisor.mmu.TechniqueStatistics;
import memvisor.tlb.TlbCounters;

/**
 * What one run of one guest under one technique counted.
 *
 * @param technique the technique's name
 * @param workload what ran
 * @param outcome how it ended, in a few words
 * @param instructions guest instructions retired
 * @param exits VM exits by architectural reason, most frequent first
 * @param tlb what the translation hardware counted
 * @param software the monitor's own walks of the guest's tables
 * @param paravirtual what a paravirtual guest asked for; empty for other guests
 * @param tableFrames 4 KiB frames that the technique's own tables cost at the end
 * @param wallNanos host time, in nanoseconds
 * @param check what the guest printed as its checksum, or a hash of its memory: equal for every
 *     technique, or something is wrong; empty where runs cannot be equal
 * @param state the guest as its run left it, where it was looked at
 */
public record RunResult(
    String technique,
    String workload,
    String outcome,
    long instructions,
    Map<String, Long> exits,
    TlbCounters tlb,
    SoftwareWalks software,
    Optional<ParavirtualWork> paravirtual,
    long tableFrames,
    long wallNanos,
    String check,
    Optional<GuestState> state) {

  /** Orders the exits by frequency. */
  public RunResult {
    Map<String, Long> sorted = new LinkedHashMap<>();
    exits.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
    exits = Collections.unmodifiableMap(sorted);
  }

  /**
   * Walks of the guest's tables that the monitor did, as part of handling exits.
   *
   * @param walks how many
   * @param references entries read in them
   */
  public record SoftwareWalks(long walks, long references) {
    static SoftwareWalks of(SortedMap<String, Long> counters) {
      return new SoftwareWalks(
          counters.getOrDefault(TechniqueStatistics.SOFTWARE_WALKS, 0L),
          counters.getOrDefault(TechniqueStatistics.SOFTWARE_REFERENCES, 0L));
    }
  }

  /** The same under another name of the technique, to tell two runs of one apart. */
  public RunResult named(String name) {
    return new RunResult(
        name,
        workload,
        outcome,
        instructions,
        exits,
        tlb,
        software,
        paravirtual,
        tableFrames,
        wallNanos,
        check,
        state);
  }

  /** Exits of one reason. */
  public long exits(ExitReason reason) {
    return exits.getOrDefault(reason.name(), 0L);
  }

  /** Exits of every reason. */
  public long totalExits() {
    return exits.values().stream().mapToLong(Long::longValue).sum();
  }

  /**
   * Table entries read per walk, in both dimensions; where the hardware walks nothing, per walk of
   * the monitor; 0 if nothing was walked at all.
   */
  public double referencesPerWalk() {
    if (tlb.walks() != 0) {
      return (double) tlb.allReferences() / tlb.walks();
    }
    return software.walks() == 0 ? 0 : (double) software.references() / software.walks();
  }

  /** Guest instructions per second of host time, in millions. */
  public double millionInstructionsPerSecond() {
    return wallNanos == 0 ? 0 : instructions * 1000.0 / wallNanos;
  }
}
