package memvisor.app.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import memvisor.app.cli.report.Findings;
import memvisor.app.cli.report.HtmlReport;
import memvisor.app.cli.report.JsonReport;
import memvisor.app.cli.report.Metric;
import memvisor.app.cli.report.TextTable;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What {@code demo} and {@code compare} share: prices, and where results go. */
final class LabOptions {
  private static final Set<String> PRICES =
      Set.of("instruction", "secondLevelHit", "reference", "exit", "handling");

  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--cycles",
      paramLabel = "NAME=CYCLES",
      split = ",",
      description =
          "Change prices of the cycle model: instruction (1), secondLevelHit (9), reference (14), "
              + "exit (1200), handling (600).")
  private Map<String, Double> cycles = new HashMap<>();

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Also write a report with plots, one HTML file that needs nothing else.")
  private Optional<Path> html = Optional.empty();

  @Option(names = "--json", paramLabel = "FILE", description = "Also write the numbers as JSON.")
  private Optional<Path> json = Optional.empty();

  /** The cycle model with the prices given. */
  CycleModel model() {
    for (String name : cycles.keySet()) {
      if (!PRICES.contains(name)) {
        throw new ParameterException(
            mixee.commandLine(),
            "--cycles knows no price '"
                + name
                + "'; it knows "
                + String.join(", ", PRICES.stream().sorted().toList()));
      }
    }
    CycleModel d = CycleModel.DEFAULT;
    try {
      return new CycleModel(
          cycles.getOrDefault("instruction", d.instruction()),
          cycles.getOrDefault("secondLevelHit", d.secondLevelHit()),
          cycles.getOrDefault("reference", d.reference()),
          cycles.getOrDefault("exit", d.exit()),
          cycles.getOrDefault("handling", d.handling()));
    } catch (IllegalArgumentException wrong) {
      throw new ParameterException(mixee.commandLine(), String.valueOf(wrong.getMessage()), wrong);
    }
  }

  /**
   * Prints and writes the results; with {@code fallback} a page is written even if not asked for.
   */
  void report(PrintWriter out, String title, List<RunResult> runs, Optional<Path> fallback) {
    CycleModel model = model();
    out.print(table(runs, model));
    out.println();
    runs.stream()
        .map(RunResult::workload)
        .distinct()
        .forEach(
            workload ->
                out.println(
                    Findings.of(
                        workload,
                        runs.stream().filter(run -> run.workload().equals(workload)).toList(),
                        model)));
    try {
      Optional<Path> page = html.or(() -> fallback);
      if (page.isPresent()) {
        new HtmlReport(title, runs, model).write(page.get());
        out.println();
        out.println("Report with plots: " + page.get().toAbsolutePath().normalize());
      }
      if (json.isPresent()) {
        JsonReport.write(json.get(), runs, model);
      }
    } catch (IOException failure) {
      throw new CommandFailure("cannot write the report: " + ErrorHandling.describe(failure) + ".");
    }
    out.flush();
  }

  private static String table(List<RunResult> runs, CycleModel model) {
    List<Metric> metrics = Metric.all(model);
    List<String> heading = new ArrayList<>(List.of("workload", "technique", "instructions"));
    metrics.forEach(metric -> heading.add(metric.name()));
    heading.add("exits by reason");
    TextTable table = new TextTable(2, heading);
    String last = "";
    for (RunResult run : runs) {
      List<String> row = new ArrayList<>();
      row.add(run.workload().equals(last) ? "" : run.workload());
      row.add(run.technique());
      row.add(Metric.format(run.instructions()));
      metrics.forEach(metric -> row.add(metric.text(run)));
      row.add(mostFrequent(run));
      table.add(row);
      last = run.workload();
    }
    return table.toString();
  }

  private static String mostFrequent(RunResult run) {
    return run.exits().entrySet().stream()
        .limit(2)
        .map(exit -> exit.getKey() + " " + Metric.format(exit.getValue()))
        .reduce((a, b) -> a + ", " + b)
        .orElse("none");
  }

  /** Fails if a run did not end as it should or the checksums differ. */
  static void requireSound(List<RunResult> runs) {
    for (RunResult run : runs) {
      if (!run.outcome().equals("ended") && !run.outcome().equals("powered off")) {
        throw new CommandFailure(
            "%s under %s: %s.".formatted(run.workload(), run.technique(), run.outcome()), 3);
      }
      for (RunResult other : runs) {
        if (other.workload().equals(run.workload()) && !other.check().equals(run.check())) {
          throw new CommandFailure(
              "%s gives %s under %s but %s under %s: one of them is wrong, please report it."
                  .formatted(
                      run.workload(),
                      run.check(),
                      run.technique(),
                      other.check(),
                      other.technique()),
              3);
        }
      }
    }
  }
}
