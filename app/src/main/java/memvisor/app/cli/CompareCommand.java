package memvisor.app.cli;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import memvisor.app.cli.report.Absence;
import memvisor.app.cli.report.Findings;
import memvisor.app.cli.run.KernelPayload;
import memvisor.boot.BootException;
import memvisor.boot.BootRequest;
import memvisor.host.frames.HostMemoryException;
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
          + "powers off; the guests it leaves must then be the same to the last bit, but for direct, "
          + "whose guest is a paravirtual one."
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
      "  memvisor compare --workload churn --mmu shadow,direct --no-batch",
      "  memvisor compare --workload switch-pcid --mmu nested --cpu atom,-pcid",
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

  private static final String DIRECT_STATE =
      "No final state is compared for direct: a paravirtual kernel takes another way from its first"
          + " instruction (no firmware, no PC's devices, hypercalls, machine addresses in its tables),"
          + " so it retires other instructions and leaves other memory. Its console is hvc0 where the"
          + " command line says ttyS0.";

  /** What names a serial port as the console of a kernel. */
  private static final Pattern SERIAL_CONSOLE = Pattern.compile("console=ttyS\\d\\S*");

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
      description =
          "nested, shadow, partition, trap, direct (default: all; with --kernel, all but direct, which "
              + "needs a Linux kernel with Xen PV support).")
  private List<TechniqueKind> techniques = List.of();

  @Option(
      names = "--no-batch",
      description =
          "Run direct a second time with each call of a multicall, and each request of a list, counted "
              + "as an exit of its own: what batching is worth.")
  private boolean noBatch;

  @Mixin private PcOptions hardware = new PcOptions();

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

  private LabHardware hardware(boolean batching) {
    TlbConfiguration caches = tlb == Caches.ON ? TlbConfiguration.DEFAULT : TlbConfiguration.OFF;
    return new LabHardware(
        pc -> hardware.apply(pc).withTlb(caches),
        domain -> hardware.apply(domain).withTlb(caches).withBatching(batching));
  }

  /** One row of the comparison. */
  private record Subject(TechniqueKind technique, boolean batching) {
    String name() {
      return batching ? technique.word() : technique.word() + "-nobatch";
    }
  }

  private List<Subject> subjects(List<TechniqueKind> defaults) {
    List<Subject> subjects = new ArrayList<>();
    for (TechniqueKind technique : techniques.isEmpty() ? defaults : techniques) {
      subjects.add(new Subject(technique, true));
      if (noBatch && technique.isParavirtual()) {
        subjects.add(new Subject(technique, false));
      }
    }
    return subjects;
  }

  private LabOptions.Results boot(BootRequest request) {
    if (!workloads.isEmpty() || pages.isPresent() || iterations.isPresent() || spaces.isPresent()) {
      throw new ParameterException(
          spec.commandLine(),
          "--workload, --pages, --iterations and --spaces are the built-in guest's: leave them out"
              + " with --kernel");
    }
    String name = guest.name().orElseThrow();
    List<Subject> subjects = subjects(TechniqueKind.transparent());
    boolean direct = subjects.stream().anyMatch(subject -> subject.technique().isParavirtual());
    List<RunResult> runs;
    try {
      BootRequest paravirtual = direct ? forDomain(request) : request;
      KernelExperiment.Guest booted =
          new KernelExperiment.Guest(name, request, paravirtual, guest.memoryBytes());
      runs = runEach(booted, subjects);
    } catch (BootException | IllegalArgumentException unusable) {
      throw new CommandFailure(String.valueOf(unusable.getMessage()), CommandFailure.USAGE);
    } catch (HostMemoryException failure) {
      throw new CommandFailure(String.valueOf(failure.getMessage()));
    }
    List<String> notes = new ArrayList<>(List.of(fast ? KERNEL_PLAIN : KERNEL_MEASURED));
    finalState(runs).ifPresent(notes::add);
    if (direct) {
      notes.add(DIRECT_STATE);
    }
    return new LabOptions.Results(
        "Memory virtualization compared: " + name, runs, List.of(), notes);
  }

  /** The kernel unpacked, and the console that a domain has instead of a serial port. */
  private static BootRequest forDomain(BootRequest request) {
    String line = SERIAL_CONSOLE.matcher(request.commandLine()).replaceAll("console=hvc0");
    return KernelPayload.unpacked(request.withCommandLine(line));
  }

  private List<RunResult> runEach(KernelExperiment.Guest booted, List<Subject> subjects) {
    Progress progress = Progress.onStandardError();
    List<RunResult> runs = new ArrayList<>();
    for (Subject subject : subjects) {
      progress.step("Booting " + booted.name() + " under " + subject.name() + " ...");
      KernelExperiment.Observer observer =
          (instructions, line) ->
              progress.note(
                  "  %s: %,d million instructions%s"
                      .formatted(
                          subject.name(),
                          instructions / 1_000_000,
                          line.isEmpty() ? "" : "; it says: " + line));
      KernelExperiment experiment =
          new KernelExperiment(
              booted,
              hardware(subject.batching()),
              !fast,
              timeout.map(Duration::toNanos).orElse(KERNEL_LIMIT_NANOS));
      runs.add(experiment.run(subject.technique(), observer).named(subject.name()));
      progress.endLine();
    }
    return runs;
  }

  /** The final state of the guests that have one to compare. */
  private static Optional<String> finalState(List<RunResult> all) {
    List<RunResult> runs = all.stream().filter(run -> run.state().isPresent()).toList();
    return runs.isEmpty() ? Optional.empty() : Optional.of(stateOf(runs));
  }

  private static String stateOf(List<RunResult> runs) {
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
    long limitNanos = timeout.map(Duration::toNanos).orElse(DemoCommand.RUN_LIMIT_NANOS);
    List<Subject> subjects = subjects(List.of(TechniqueKind.values()));
    Progress progress = Progress.onStandardError();
    List<RunResult> runs = new ArrayList<>();
    List<Absence> absences = new ArrayList<>();
    for (Workload workload : chosen) {
      for (Subject subject : subjects) {
        Optional<String> obstacle = Experiment.obstacle(workload, subject.technique());
        if (obstacle.isPresent()) {
          absences.add(new Absence(workload.label(), subject.name(), obstacle.get()));
          continue;
        }
        progress.step("Running " + workload + " under " + subject.name() + " ...");
        Experiment experiment = new Experiment(hardware(subject.batching()), limitNanos);
        runs.add(
            experiment
                .run(workload, parametersOf(workload), subject.technique())
                .named(subject.name()));
      }
    }
    if (runs.isEmpty()) {
      throw new CommandFailure(
          "nothing is left to run: " + absences.getFirst().why() + ".", CommandFailure.USAGE);
    }
    return new LabOptions.Results(
        "Memory virtualization compared", runs, absences, List.of(MEASURED));
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
