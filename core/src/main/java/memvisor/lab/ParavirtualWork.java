package memvisor.lab;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SortedMap;

/**
 * What a paravirtual guest asked of the monitor, and what that was for the monitor.
 *
 * @param hypercalls calls by the names of public/xen.h, most frequent first; the calls of a
 *     multicall are among them, beside the multicall
 * @param tableUpdates changes of table entries that hypercalls asked for
 * @param updatingExits exits that brought them
 * @param emulatedWrites stores to table entries that faulted and were performed
 * @param entriesValidated present table entries that were checked, one by one or as parts of a
 *     whole table
 * @param tablesValidated whole tables among that
 */
public record ParavirtualWork(
    Map<String, Long> hypercalls,
    long tableUpdates,
    long updatingExits,
    long emulatedWrites,
    long entriesValidated,
    long tablesValidated) {
  private static final String HYPERCALL = "hypercall-";
  private static final String MULTICALL = "multicall";

  /** Orders the calls by frequency. */
  public ParavirtualWork {
    Map<String, Long> sorted = new LinkedHashMap<>();
    hypercalls.entrySet().stream()
        .filter(entry -> entry.getValue() != 0)
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
    hypercalls = Collections.unmodifiableMap(sorted);
  }

  /** The work behind the counters of a domain. */
  static ParavirtualWork of(SortedMap<String, Long> counters) {
    Map<String, Long> hypercalls = new LinkedHashMap<>();
    counters.forEach(
        (name, count) -> {
          if (name.startsWith(HYPERCALL)) {
            hypercalls.put(name.substring(HYPERCALL.length()), count);
          }
        });
    return new ParavirtualWork(
        hypercalls,
        counters.getOrDefault("table-update-requests", 0L),
        counters.getOrDefault("table-update-exits", 0L),
        counters.getOrDefault("emulated-writes", 0L),
        counters.getOrDefault("entries-validated", 0L),
        counters.getOrDefault("tables-validated", 0L));
  }

  /** Calls that the monitor performed: a multicall itself is none. */
  public long callsPerformed() {
    return hypercalls.entrySet().stream()
        .filter(call -> !call.getKey().equals(MULTICALL))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Table entries changed, and entries checked: what validation costs goes by. */
  public long entries() {
    return tableUpdates + emulatedWrites + entriesValidated;
  }

  /** Changes of table entries per exit that brought any; 0 if none did. */
  public double updatesPerExit() {
    return updatingExits == 0 ? 0 : (double) tableUpdates / updatingExits;
  }
}
