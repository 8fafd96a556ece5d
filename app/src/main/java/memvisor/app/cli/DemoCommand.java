package memvisor.app.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import memvisor.app.cli.report.Absence;
import memvisor.lab.Experiment;
import memvisor.lab.LabHardware;
import memvisor.lab.RunResult;
import memvisor.lab.Workload;
import memvisor.machine.TechniqueKind;
import memvisor.tlb.TlbConfiguration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code memvisor demo}: every workload of the built-in guest under every technique. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description = {
      "Runs the built-in guest, a small kernel with seven memory workloads, under every technique, "
          + "and compares what its memory did: a table, a sentence for each workload, and a report "
          + "with plots.",
      "It needs no kernel image, no root and no KVM, and takes under a minute."
    },
    footer = {
      "",
      "Examples:",
      "  memvisor demo                       table, and memvisor-demo.html here",
      "  memvisor demo --html /tmp/r.html --json /tmp/r.json",
      "  memvisor demo --cycles exit=4000    if an exit cost more",
      "",
      "Exit status: 3 if a run died or the techniques disagree.",
    })
final class DemoCommand implements Runnable {
  /** Long enough for any run on a slow machine; a run that takes longer hangs. */
  static final long RUN_LIMIT_NANOS = 300_000_000_000L;

  private static final Optional<Path> PAGE = Optional.of(Path.of("memvisor-demo.html"));

  @Mixin private LabOptions lab = new LabOptions();

  @Override
  public void run() {
    lab.model();
    lab.requireWritable(PAGE);
    Progress progress = Progress.onStandardError();
    Experiment experiment =
        new Experiment(LabHardware.of(TlbConfiguration.DEFAULT), RUN_LIMIT_NANOS);
    List<RunResult> runs = new ArrayList<>();
    List<Absence> absences = new ArrayList<>();
    for (Workload workload : Workload.values()) {
      progress.step("Running " + workload + " under every technique ...");
      for (TechniqueKind technique : TechniqueKind.values()) {
        Optional<String> obstacle = Experiment.obstacle(workload, technique);
        if (obstacle.isPresent()) {
          absences.add(new Absence(workload.label(), technique.word(), obstacle.get()));
        } else {
          runs.add(experiment.run(workload, workload.defaults(), technique));
        }
      }
    }
    lab.report(
        new LabOptions.Results(
            "Memory virtualization compared: the built-in guest under every technique",
            runs,
            absences,
            List.of(CompareCommand.MEASURED)),
        PAGE);
  }
}
