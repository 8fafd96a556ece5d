package memvisor.app.cli.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import memvisor.lab.CycleModel;
import memvisor.lab.ParavirtualWork;
import memvisor.lab.RunResult;
import memvisor.tlb.TlbCounters;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** Results as JSON: an object with the model's prices and an array of runs. */
public final class JsonReport {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private JsonReport() {}

  /** Writes a comparison. */
  public static void write(Path file, List<RunResult> runs, CycleModel model, List<String> notes)
      throws IOException {
    Map<String, Object> root = new LinkedHashMap<>();
    root.put("notes", notes);
    root.put("cycleModel", model.prices());
    root.put("runs", runs.stream().map(run -> describe(run, model)).toList());
    writeObject(file, root);
  }

  /** Writes any tree of maps, lists, strings and numbers. */
  public static void writeObject(Path file, Map<String, Object> root) throws IOException {
    Files.writeString(file, MAPPER.writeValueAsString(root) + "\n");
  }

  private static Map<String, Object> describe(RunResult run, CycleModel model) {
    Map<String, Object> map =
        ordered(
            "workload", run.workload(),
            "technique", run.technique(),
            "outcome", run.outcome(),
            "instructions", run.instructions(),
            "modelledCycles", model.cycles(run),
            "exits", run.totalExits(),
            "exitsByReason", run.exits(),
            "referencesPerWalk", run.referencesPerWalk(),
            "softwareWalks", run.software().walks(),
            "softwareReferences", run.software().references(),
            "tableFrames", run.tableFrames(),
            "wallNanos", run.wallNanos(),
            "check", run.check());
    run.paravirtual().ifPresent(work -> map.put("paravirtual", describe(work)));
    run.state()
        .ifPresent(
            state ->
                map.put(
                    "finalState",
                    ordered(
                        "instructions", state.instructions(),
                        "registersHash", Long.toHexString(state.registersHash()),
                        "ramSha256", state.ramSha256())));
    map.put("tlb", describe(run.tlb()));
    return map;
  }

  private static Map<String, Object> describe(ParavirtualWork work) {
    return ordered(
        "hypercalls", work.hypercalls(),
        "tableUpdates", work.tableUpdates(),
        "updatingExits", work.updatingExits(),
        "updatesPerExit", work.updatesPerExit(),
        "emulatedWrites", work.emulatedWrites(),
        "entriesValidated", work.entriesValidated(),
        "tablesValidated", work.tablesValidated());
  }

  /** The translation hardware's counters. */
  public static Map<String, Object> describe(TlbCounters tlb) {
    return ordered(
        "accesses", tlb.accesses(),
        "firstLevelHits", tlb.firstHits(),
        "secondLevelHits", tlb.secondHits(),
        "walks", tlb.walks(),
        "structureCacheHits", tlb.structureHits(),
        "references", tlb.references(),
        "nestedTlbHits", tlb.nestedTlbHits(),
        "nestedWalks", tlb.nestedWalks(),
        "nestedReferences", tlb.nestedReferences(),
        "pageFaults", tlb.pageFaults(),
        "nestedFaults", tlb.nestedFaults(),
        "flushes", tlb.flushes(),
        "pageInvalidations", tlb.pageInvalidations());
  }

  /** A map in the order given: name, value, name, value … */
  public static Map<String, Object> ordered(Object... namesAndValues) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      map.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return map;
  }
}
