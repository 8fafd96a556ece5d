package memvisor.lab;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
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
 * @param tableFrames 4 KiB frames that the technique's own tables cost, at their most
 * @param wallNanos host time, in nanoseconds
 * @param check what the guest printed as its checksum, or a hash of its memory: equal for every
 *     technique, or something is wrong
 */
public record RunResult(
    String technique,
    String workload,
    String outcome,
    long instructions,
    Map<String, Long> exits,
    TlbCounters tlb,
    long tableFrames,
    long wallNanos,
    String check) {

  /** Orders the exits by frequency. */
  public RunResult {
    Map<String, Long> sorted = new LinkedHashMap<>();
    exits.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
    exits = Collections.unmodifiableMap(sorted);
  }

  /** Exits of every reason. */
  public long totalExits() {
    return exits.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Table entries read per walk, in both dimensions; 0 if nothing was walked. */
  public double referencesPerWalk() {
    return tlb.walks() == 0 ? 0 : (double) tlb.allReferences() / tlb.walks();
  }

  /** Guest instructions per second of host time, in millions. */
  public double millionInstructionsPerSecond() {
    return wallNanos == 0 ? 0 : instructions * 1000.0 / wallNanos;
  }
}
