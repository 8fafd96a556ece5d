package memvisor.app.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import memvisor.app.cli.report.Absence;
import memvisor.app.cli.report.Findings;
import memvisor.app.cli.report.HtmlReport;
import memvisor.app.cli.report.JsonReport;
import memvisor.app.cli.report.TextReport;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What {@code demo} and {@code compare} share: prices, and where results go. */
final class LabOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--cycles",
      paramLabel = "NAME=CYCLES",
      split = ",",
      description =
          "Change prices of the cycle model: instruction (1), secondLevelHit (9), reference (14), "
              + "exit (1200), handling (600); under direct, in place of exit, hypercall (200) and "
              + "trap (600), and validation (50) for each table entry.")
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
    Set<String> known = CycleModel.DEFAULT.prices().keySet();
    for (String name : cycles.keySet()) {
      if (!known.contains(name)) {
        throw new ParameterException(
            mixee.commandLine(),
            "--cycles knows no price '" + name + "'; it knows " + String.join(", ", known));
      }
    }
    try {
      return CycleModel.DEFAULT.with(cycles);
    } catch (IllegalArgumentException wrong) {
      throw new ParameterException(mixee.commandLine(), String.valueOf(wrong.getMessage()), wrong);
    }
  }

  /** Fails if a report asked for cannot be written, before anything is run. */
  void requireWritable(Optional<Path> fallback) {
    OutputFile.requireWritable("--html", html.or(() -> fallback));
    OutputFile.requireWritable("--json", json);
  }

  /**
   * Prints and writes the results; with {@code fallback} a page is written even if not asked for.
   */
  void report(Results results, Optional<Path> fallback) {
    CycleModel model = model();
    PrintWriter out = mixee.commandLine().getOut();
    out.print(new TextReport(results.runs(), results.absences(), model).render(results.notes()));
    try {
      Optional<Path> page = html.or(() -> fallback);
      if (page.isPresent()) {
        new HtmlReport(results.title(), results.runs(), model, results.notes())
            .with(results.absences())
            .write(page.get());
        out.println();
        out.println("Report with plots: " + page.get().toAbsolutePath().normalize());
      }
      if (json.isPresent()) {
        JsonReport.write(json.get(), results.runs(), model, results.notes());
      }
    } catch (IOException failure) {
      throw new CommandFailure("cannot write the report: " + ErrorHandling.describe(failure) + ".");
    }
    out.flush();
    requireSound(results.runs());
  }

  /**
   * What a comparison found.
   *
   * @param absences what was not run, and why
   * @param notes sentences on how to read the numbers
   */
  record Results(String title, List<RunResult> runs, List<Absence> absences, List<String> notes) {}

  /** Fails if a run did not end as it should or the techniques disagree. */
  private static void requireSound(List<RunResult> runs) {
    for (RunResult run : runs) {
      if (!run.outcome().equals("ended") && !run.outcome().equals("powered off")) {
        throw new CommandFailure(
            "%s under %s: %s.".formatted(run.workload(), run.technique(), run.outcome()), 3);
      }
    }
    for (String workload : runs.stream().map(RunResult::workload).distinct().toList()) {
      if (!Findings.agree(runs.stream().filter(run -> run.workload().equals(workload)).toList())) {
        throw new CommandFailure(
            "the techniques disagree on %s: one of them is wrong, please report it."
                .formatted(workload),
            3);
      }
    }
  }
}
