package memvisor.app.cli;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import memvisor.app.cli.report.Findings;
import memvisor.boot.BootException;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemoryException;
import memvisor.lab.Experiment;
import memvisor.lab.KernelExperiment;
import memvisor.lab.LabHardware;
import memvisor.lab.RunResult;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.GuestState;
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
    description = {
      "Runs workloads of the built-in guest, or a kernel of yours, under techniques and compares exits, "
          + "walks, TLB misses, table frames, modelled cycles and time.",
      "A kernel is booted anew under each technique, with time that follows its instructions, until it "
          + "powers off; the guests it leaves must then be the same to the last bit."
    },
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
      "  memvisor compare --mmu nested,shadow --kernel vmlinuz --initrd initrd \\",
      "      --append 'console=ttyS0 quiet memvisor.run=\"ls /\"'",
      "",
      "Exit status: 3 if a guest died or the techniques disagree.",
    })
final class CompareCommand implements Runnable {
  /** Which translation caches the modelled hardware has. */
  private enum Caches {
    ON,
    OFF
  }

  private static final long KERNEL_LIMIT_NANOS = Duration.ofHours(1).toNanos();

  /** How the numbers of a measured run are to be read. */
  static final String MEASURED =
      "Counted in the workload's measured section, with every access through the modelled TLB.";

  private static final String KERNEL_MEASURED =
      "Counted from power-on to the end, with every access through the modelled TLB.";

  private static final String KERNEL_PLAIN =
      "Counted from power-on to the end. TLB misses and refs/walk leave out the accesses that the"
          + " vCPU's own translation cache answered; without --fast each is counted.";

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private KernelOptions guest = new KernelOptions();
  @Mixin private LabOptions lab = new LabOptions();

  @Option(
      names = "--workload",
      split = ",",
      paramLabel = "NAME",
      converter = WorkloadConverter.class,
      description = "What to run (default: all).")
  private List<Workload> workloads = List.of();

  @Option(
      names = "--mmu",
      split = ",",
      paramLabel = "TECHNIQUE",
      converter = TechniqueConverter.class,
      description = "nested, shadow, partition, trap (default: all).")
  private List<TechniqueKind> techniques = TechniqueKind.transparent();

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

  @Option(
      names = "--fast",
      description =
          "With --kernel: let the vCPU keep translations outside the modelled TLB, which then counts "
              + "less. About twice as fast.")
  private boolean fast;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      converter = Quantities.TimeConverter.class,
      description = "Give a run up after this long, like 120s (default: 5m; 1h for a kernel).")
  private Optional<Duration> timeout = Optional.empty();

  @Override
  public void run() {
    lab.model();
    lab.requireWritable(Optional.empty());
    Optional<BootRequest> request = guest.request();
    LabOptions.Results results;
    if (request.isPresent()) {
      results = boot(request.get());
    } else {
      results = runWorkloads();
    }
    lab.report(results, Optional.empty());
  }

  private TlbConfiguration tlbConfiguration() {
    return tlb == Caches.ON ? TlbConfiguration.DEFAULT : TlbConfiguration.OFF;
  }

  private LabOptions.Results boot(BootRequest request) {
    if (!workloads.isEmpty() || pages.isPresent() || iterations.isPresent() || spaces.isPresent()) {
      throw new ParameterException(
          spec.commandLine(),
          "--workload, --pages, --iterations and --spaces are the built-in guest's: leave them out"
              + " with --kernel");
    }
    String name = guest.name().orElseThrow();
    KernelExperiment experiment =
        new KernelExperiment(
            new KernelExperiment.Guest(name, request, request, guest.memoryBytes()),
            LabHardware.of(tlbConfiguration()),
            !fast,
            timeout.map(Duration::toNanos).orElse(KERNEL_LIMIT_NANOS));
    List<RunResult> runs;
    try {
      runs = runEach(experiment, name);
    } catch (BootException | IllegalArgumentException unusable) {
      throw new CommandFailure(String.valueOf(unusable.getMessage()), CommandFailure.USAGE);
    } catch (HostMemoryException failure) {
      throw new CommandFailure(String.valueOf(failure.getMessage()));
    }
    return new LabOptions.Results(
        "Memory virtualization compared: " + name,
        runs,
        List.of(fast ? KERNEL_PLAIN : KERNEL_MEASURED, finalState(runs)));
  }

  private List<RunResult> runEach(KernelExperiment experiment, String name) {
    Progress progress = Progress.onStandardError();
    List<RunResult> runs = new ArrayList<>();
    for (TechniqueKind technique : techniques) {
      progress.step("Booting " + name + " under " + technique.word() + " ...");
      KernelExperiment.Observer observer =
          (instructions, line) ->
              progress.note(
                  "  %s: %,d million instructions%s"
                      .formatted(
                          technique.word(),
                          instructions / 1_000_000,
                          line.isEmpty() ? "" : "; it says: " + line));
      runs.add(experiment.run(technique, observer));
      progress.endLine();
    }
    return runs;
  }

  private static String finalState(List<RunResult> runs) {
    if (!Findings.agree(runs)) {
      return "THE TECHNIQUES DISAGREE on the guest's final state: "
          + runs.stream()
              .map(run -> run.technique() + " " + run.state().map(CompareCommand::text).orElse(""))
              .collect(Collectors.joining("; "))
          + ".";
    }
    GuestState state = runs.getFirst().state().orElseThrow();
    return (runs.size() == 1 ? "The guest's final state: " : "The same final state under each: ")
        + text(state)
        + ".";
  }

  private static String text(GuestState state) {
    return String.format(
        Locale.ROOT,
        "%,d instructions, hash of the registers %016x, SHA-256 of RAM %s",
        state.instructions(),
        state.registersHash(),
        state.ramSha256());
  }

  private LabOptions.Results runWorkloads() {
    if (fast) {
      throw new ParameterException(
          spec.commandLine(), "--fast belongs to --kernel: workloads are always counted fully");
    }
    List<Workload> chosen = workloads.isEmpty() ? List.of(Workload.values()) : workloads;
    for (Workload workload : chosen) {
      parametersOf(workload);
    }
    Experiment experiment =
        new Experiment(
            LabHardware.of(tlbConfiguration()), timeout.map(Duration::toNanos).orElse(DemoCommand.RUN_LIMIT_NANOS));
    Progress progress = Progress.onStandardError();
    List<RunResult> runs = new ArrayList<>();
    for (Workload workload : chosen) {
      for (TechniqueKind technique : techniques) {
        progress.step("Running " + workload + " under " + technique.word() + " ...");
        runs.add(experiment.run(workload, parametersOf(workload), technique));
      }
    }
    return new LabOptions.Results("Memory virtualization compared", runs, List.of(MEASURED));
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
