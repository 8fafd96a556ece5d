package memvisor.app.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import memvisor.lab.Experiment;
import memvisor.lab.RunResult;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.TechniqueKind;
import memvisor.tlb.TlbConfiguration;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code memvisor compare}: chosen workloads under chosen techniques. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description =
        "Runs workloads of the built-in guest under techniques and compares exits, walks, TLB misses, "
            + "table frames, modelled cycles and time.",
    footer = {
      "",
      "Workloads: copy (sequential copy), random (random update), chase (pointer chase), churn (map and "
          + "unmap), switch and switch-pcid (address spaces without and with tags), cow (fork and copy "
          + "on write).",
      "",
      "Examples:",
      "  memvisor compare --workload chase                         every technique",
      "  memvisor compare --workload churn,cow --mmu nested,shadow",
      "  memvisor compare --workload chase --pages 16384 --iterations 50000",
      "  memvisor compare --workload random --tlb off --json r.json",
    })
final class CompareCommand implements Runnable {
  /** Which translation caches the modelled hardware has. */
  private enum Caches {
    ON,
    OFF
  }

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private LabOptions lab = new LabOptions();

  @Option(
      names = "--workload",
      split = ",",
      paramLabel = "NAME",
      converter = WorkloadConverter.class,
      description = "What to run (default: all).")
  private List<Workload> workloads = Arrays.asList(Workload.values());

  @Option(
      names = "--mmu",
      split = ",",
      paramLabel = "TECHNIQUE",
      description = "nested, shadow, partition, trap (default: all).")
  private List<TechniqueKind> techniques = Arrays.asList(TechniqueKind.values());

  @Option(
      names = "--pages",
      paramLabel = "N",
      description = "4 KiB pages the workload uses: a power of two (default: the workload's).")
  private Optional<Integer> pages = Optional.empty();

  @Option(
      names = "--iterations",
      paramLabel = "N",
      description = "How often, in the workload's unit (default: the workload's).")
  private Optional<Long> iterations = Optional.empty();

  @Option(
      names = "--spaces",
      paramLabel = "N",
      description = "Address spaces of the switching workloads (default: 8).")
  private Optional<Integer> spaces = Optional.empty();

  @Option(
      names = "--tlb",
      paramLabel = "on|off",
      description = "Whether the modelled hardware has TLBs and caches (default: on).")
  private Caches tlb = Caches.ON;

  @Override
  public void run() {
    lab.model();
    for (Workload workload : workloads) {
      parametersOf(workload);
    }
    Experiment experiment =
        new Experiment(
            tlb == Caches.ON ? TlbConfiguration.DEFAULT : TlbConfiguration.OFF,
            DemoCommand.RUN_LIMIT_NANOS);
    Progress progress = Progress.onStandardError();
    List<RunResult> runs = new ArrayList<>();
    for (Workload workload : workloads) {
      for (TechniqueKind technique : techniques) {
        progress.step("Running " + workload + " under " + technique.word() + " ...");
        runs.add(experiment.run(workload, parametersOf(workload), technique));
      }
    }
    lab.report(
        spec.commandLine().getOut(), "Memory virtualization compared", runs, Optional.empty());
    LabOptions.requireSound(runs);
  }

  private WorkloadParameters parametersOf(Workload workload) {
    WorkloadParameters defaults = workload.defaults();
    try {
      WorkloadParameters chosen =
          new WorkloadParameters(
              pages.orElse(defaults.pages()),
              iterations.orElse(defaults.iterations()),
              spaces.isPresent() && defaults.spaces() > 1 ? spaces.get() : defaults.spaces());
      BuiltinGuest.requireTablesFit(workload, chosen);
      return chosen;
    } catch (IllegalArgumentException impossible) {
      throw new ParameterException(
          spec.commandLine(), String.valueOf(impossible.getMessage()), impossible);
    }
  }

  /** Reads a workload's short name. */
  static final class WorkloadConverter implements ITypeConverter<Workload> {
    @Override
    public Workload convert(String text) {
      for (Workload workload : Workload.values()) {
        if (workload.label().equals(text)) {
          return workload;
        }
      }
      throw new TypeConversionException(
          "there is no workload '"
              + text
              + "'; there are "
              + String.join(", ", Arrays.stream(Workload.values()).map(Workload::label).toList()));
    }
  }
}
