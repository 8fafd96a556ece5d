package memvisor.app.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.LongFunction;
import memvisor.app.cli.report.JsonReport;
import memvisor.app.cli.run.GuestRun;
import memvisor.app.cli.run.HostSetup;
import memvisor.boot.BootException;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitCounters;
import memvisor.host.frames.HostMemoryException;
import memvisor.lab.Workload;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.TranslationStatistics;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.xen.XenConfiguration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code memvisor run}: one guest in the foreground. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description =
        "Runs a guest with its serial console on standard input and output. On a terminal, Ctrl-A x "
            + "ends the run and Ctrl-A c opens the monitor, which explains addresses.",
    footer = {
      "",
      "Examples:",
      "  memvisor run                         the built-in guest",
      "  memvisor run --kernel ~/.cache/memvisor/guest/vmlinuz \\",
      "      --initrd ~/.cache/memvisor/guest/initrd --append console=ttyS0",
      "  memvisor run --mmu direct --kernel ~/.cache/memvisor/guest/vmlinuz \\",
      "      --initrd ~/.cache/memvisor/guest/initrd --append console=hvc0",
      "",
      "Exit status: 0 the guest powered off, 2 bad usage, 3 the guest died (triple fault, panic), 4 it "
          + "reset itself, 124 the time limit was reached, 130 you ended the run.",
    })
final class RunCommand implements Callable<Integer> {
  private static final String UNIX = "unix:";
  private static final int DIED = 3;
  private static final int RESET = 4;
  private static final int TIME_LIMIT = 124;
  private static final int ENDED_BY_USER = 130;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Mixin private KernelOptions guest = new KernelOptions();

  @Option(
      names = "--mmu",
      paramLabel = "TECHNIQUE",
      defaultValue = "nested",
      converter = TechniqueConverter.class,
      description =
          "nested, shadow, partition or trap; or direct, which runs a Linux kernel as a Xen PV "
              + "guest (console=hvc0), and the built-in guest's build for it. Default: "
              + "${DEFAULT-VALUE}.")
  private TechniqueKind mmu = TechniqueKind.NESTED;

  @Option(
      names = "--no-batch",
      description =
          "With --mmu direct: count each call of a multicall, and each request of a list, as an exit "
              + "of its own.")
  private boolean noBatch;

  @Option(
      names = "--clock",
      paramLabel = "real|virtual",
      defaultValue = "real",
      description =
          "Time from the host, or from instructions, which makes runs repeat exactly. Default: "
              + "${DEFAULT-VALUE}.")
  private ClockMode clock = ClockMode.REAL;

  @Mixin private PcOptions pc = new PcOptions();

  @Mixin private DeviceOptions devices = new DeviceOptions();

  @Mixin private HostOptions host = new HostOptions();

  @Option(
      names = "--workload",
      paramLabel = "NAME",
      converter = CompareCommand.WorkloadConverter.class,
      description = "What the built-in guest does (default: random).")
  private Workload workload = Workload.RANDOM_UPDATE;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      converter = Quantities.TimeConverter.class,
      description = "End the run after this long, like 120s (default: never).")
  private Optional<Duration> timeout = Optional.empty();

  @Option(names = "--stats", paramLabel = "FILE", description = "Write what was counted, as JSON.")
  private Optional<Path> stats = Optional.empty();

  @Option(
      names = "--monitor",
      paramLabel = "unix:PATH",
      description = "Serve the monitor prompt on a Unix-domain socket.")
  private Optional<String> monitor = Optional.empty();

  @Option(names = "--reboot", description = "When the guest resets itself, start it again.")
  private boolean reboot;

  @Override
  public Integer call() throws IOException {
    OutputFile.requireWritable("--stats", stats);
    LongFunction<GuestRun.Report> machine =
        mmu.isParavirtual() ? domain(request()) : computer(request());
    long deadline = System.nanoTime() + limitNanos();
    while (true) {
      GuestRun.Report report = run(machine, deadline - System.nanoTime());
      if (!(reboot && report.outcome() instanceof RunOutcome.Reset && report.panic().isEmpty())) {
        if (stats.isPresent()) {
          JsonReport.writeObject(stats.get(), describe(report));
        }
        return status(report);
      }
    }
  }

  private Optional<Path> monitorSocket() {
    if (monitor.isEmpty()) {
      return Optional.empty();
    }
    String place = monitor.get();
    if (!place.startsWith(UNIX) || place.length() == UNIX.length()) {
      throw new ParameterException(
          spec.commandLine(), "--monitor takes unix:PATH, not '" + place + "'");
    }
    return Optional.of(Path.of(place.substring(UNIX.length())));
  }

  private long limitNanos() {
    return timeout.map(Duration::toNanos).orElse(Long.MAX_VALUE / 2);
  }

  private BootRequest request() {
    return guest.request().orElseGet(() -> BootRequest.of(builtin()));
  }

  private byte[] builtin() {
    if (!mmu.isParavirtual()) {
      return BuiltinGuest.image(workload, workload.defaults());
    }
    BuiltinGuest.pvObstacle(workload)
        .ifPresent(
            why -> {
              throw new ParameterException(
                  spec.commandLine(), "--workload " + workload + " under --mmu direct: " + why);
            });
    return BuiltinGuest.paravirtualImage(workload, workload.defaults());
  }

  /** Runs a PC for at most so many nanoseconds. */
  private LongFunction<GuestRun.Report> computer(BootRequest request) {
    PcConfiguration plain =
        devices.apply(pc.apply(PcConfiguration.of(guest.memoryBytes(), mmu, clock)));
    PcConfiguration configuration =
        clock == ClockMode.REAL ? plain.withEpochSeconds(epochSeconds()) : plain;
    Optional<Path> socket = monitorSocket();
    if (mmu == TechniqueKind.PARTITION) {
      host.requirePlain("a partition is static, nothing can be taken from it");
    }
    long ample = HostSetup.ampleBytes(guest.memoryBytes());
    return nanos -> {
      HostSetup setup = host.setup(guest.memoryBytes(), ample);
      return GuestRun.ofPc(configuration, request, nanos, socket, setup).run();
    };
  }

  /** Runs a paravirtual domain. */
  private LongFunction<GuestRun.Report> domain(BootRequest request) {
    devices.requireNone();
    host.requirePlain("the pages of a direct guest cannot be taken without its consent");
    pc.requireNoneOfPc();
    XenConfiguration plain =
        pc.apply(XenConfiguration.of(guest.memoryBytes(), clock)).withBatching(!noBatch);
    XenConfiguration configuration =
        clock == ClockMode.REAL ? plain.withEpochSeconds(epochSeconds()) : plain;
    Optional<Path> socket = monitorSocket();
    return nanos -> GuestRun.ofDomain(configuration, request, nanos, socket).run();
  }

  private static long epochSeconds() {
    return System.currentTimeMillis() / 1000;
  }

  private GuestRun.Report run(LongFunction<GuestRun.Report> machine, long nanos) {
    try {
      return machine.apply(nanos);
    } catch (IllegalArgumentException impossible) {
      throw new ParameterException(
          spec.commandLine(), String.valueOf(impossible.getMessage()), impossible);
    } catch (BootException unusable) {
      throw new CommandFailure(String.valueOf(unusable.getMessage()), CommandFailure.USAGE);
    } catch (HostMemoryException failure) {
      throw new CommandFailure(String.valueOf(failure.getMessage()));
    }
  }

  private int status(GuestRun.Report report) {
    if (report.panic().isPresent()) {
      return died("the guest panicked: " + report.panic().get(), report);
    }
    return switch (report.outcome()) {
      case RunOutcome.PoweredOff off -> 0;
      case RunOutcome.DebugExit exit ->
          exit.value() == 0 ? 0 : died("the guest ended itself with code " + exit.value(), report);
      case RunOutcome.Died death -> died("the guest died: " + death.reason(), report);
      case RunOutcome.Reset reset -> {
        say("the guest reset itself (--reboot would start it again).");
        yield RESET;
      }
      case RunOutcome.LimitReached limit -> {
        say("the time limit was reached.");
        yield TIME_LIMIT;
      }
      case RunOutcome.Stopped stopped -> {
        say("ended.");
        yield ENDED_BY_USER;
      }
    };
  }

  private int died(String sentence, GuestRun.Report report) {
    say(sentence);
    spec.commandLine().getErr().println(report.postMortem());
    return DIED;
  }

  private void say(String sentence) {
    spec.commandLine().getErr().println("memvisor: " + sentence);
  }

  private static Map<String, Object> describe(TranslationStatistics translation) {
    JitCounters counters = translation.counters();
    return JsonReport.ordered(
        "interpretedInstructions", translation.interpreted(),
        "warmInstructions", translation.warm(),
        "hotInstructions", translation.hot(),
        "blocks", counters.blocks(),
        "regions", counters.regions(),
        "hot", counters.hot(),
        "adoptions", counters.adoptions(),
        "retranslations", counters.retranslations(),
        "evictions", counters.evictions(),
        "classFileBytes", counters.liveCodeBytes());
  }

  private Map<String, Object> describe(GuestRun.Report report) {
    Map<String, Object> root =
        JsonReport.ordered(
            "technique", mmu.word(),
            "memoryBytes", guest.memoryBytes(),
            "outcome", report.outcome().getClass().getSimpleName(),
            "instructions", report.instructions(),
            "wallNanos", report.wallNanos(),
            "exitsByReason", report.exits(),
            "tableFrames", report.technique().tableFrames(),
            "techniqueCounters", report.technique().counters(),
            "tlb", JsonReport.describe(report.tlb()),
            "translation", describe(report.translation()));
    if (!report.memory().isEmpty()) {
      root.put("memory", report.memory());
    }
    report.panic().ifPresent(text -> root.put("panic", text));
    return root;
  }
}
