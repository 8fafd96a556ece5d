package memvisor.app.cli;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import memvisor.address.GuestVirtualAddress;
import memvisor.app.cli.monitor.MonitorPrompt;
import memvisor.boot.BootException;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.host.frames.HostMemoryException;
import memvisor.lab.Workload;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.inspect.Inspector;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code memvisor explain}: one address of a guest, after it has run for a while. */
@Command(
    name = "explain",
    mixinStandardHelpOptions = true,
    description =
        "Runs a guest for some time and then tells all about one of its addresses: the walk, the "
            + "caches, the frame; or with --code the code there: its instructions, what they were "
            + "decoded to, and the JVM bytecode generated from that. The guest's clock follows its "
            + "instructions, so that the answer repeats.",
    footer = {
      "",
      "Examples:",
      "  memvisor explain '$rsp'              where the built-in guest's stack is",
      "  memvisor explain --code '$rip'       what it is executing, and as what",
      "  memvisor explain --code 0xffffffff81000000 --after 2s --jit regions \\",
      "      --kernel ~/.cache/memvisor/guest/vmlinuz \\",
      "      --initrd ~/.cache/memvisor/guest/initrd --append 'console=ttyS0 nokaslr'",
      "",
      "The monitor prompt of a running guest answers the same: explain ADDRESS, code ADDRESS.",
    })
final class ExplainCommand implements Callable<Integer> {
  private static final int DIED = 3;
  private static final long SLICE_INSTRUCTIONS = 10_000_000;

  /** A kernel is started up by then; the built-in guest is in the middle of its work. */
  private static final Duration KERNEL_TIME = Duration.ofSeconds(1);

  private static final Duration BUILTIN_TIME = Duration.ofMillis(1);

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "ADDRESS",
      description = "A guest virtual address: a number, a register like $rip, sums of both.")
  private String address = "";

  @Option(
      names = "--code",
      paramLabel = "RIP",
      description = "Explain the code at this address instead.")
  private String code = "";

  @Option(
      names = "--after",
      paramLabel = "TIME",
      converter = Quantities.TimeConverter.class,
      description =
          "How long the guest runs first, in its own time, where an instruction takes a nanosecond "
              + "(default: 1s with a kernel, else 1ms).")
  private Optional<Duration> after = Optional.empty();

  @Option(
      names = "--mmu",
      paramLabel = "TECHNIQUE",
      defaultValue = "nested",
      converter = TechniqueConverter.class,
      description = "nested, shadow, partition or trap. Default: ${DEFAULT-VALUE}.")
  private TechniqueKind mmu = TechniqueKind.NESTED;

  @Mixin private KernelOptions guest = new KernelOptions();

  @Mixin private PcOptions pc = new PcOptions();

  @Option(
      names = "--workload",
      paramLabel = "NAME",
      converter = CompareCommand.WorkloadConverter.class,
      description = "What the built-in guest does (default: random).")
  private Workload workload = Workload.RANDOM_UPDATE;

  @Override
  public Integer call() {
    if (address.isEmpty() == code.isEmpty()) {
      throw usage("name one address to explain, or --code and one; like: memvisor explain '$rip'");
    }
    if (mmu.isParavirtual()) {
      throw usage("explain runs PCs; under --mmu direct, ask the monitor prompt: memvisor run");
    }
    PcConfiguration configuration =
        pc.apply(PcConfiguration.of(guest.memoryBytes(), mmu, ClockMode.VIRTUAL));
    BootRequest request =
        guest
            .request()
            .orElseGet(() -> BootRequest.of(BuiltinGuest.image(workload, workload.defaults())));
    try {
      return explain(configuration, request);
    } catch (IllegalArgumentException impossible) {
      throw usage(String.valueOf(impossible.getMessage()));
    } catch (BootException unusable) {
      throw new CommandFailure(String.valueOf(unusable.getMessage()), CommandFailure.USAGE);
    } catch (HostMemoryException failure) {
      throw new CommandFailure(String.valueOf(failure.getMessage()));
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private int explain(PcConfiguration configuration, BootRequest request) {
    try (HostMemory host =
            HostMemory.create(4 * Long.highestOneBit(guest.memoryBytes()) + (64L << 20));
        PcMachine machine = new PcMachine(configuration, host, b -> {}, b -> {})) {
      machine.boot(request);
      where(machine); // a mistake in it is better known before the guest has run
      RunOutcome outcome = run(machine);
      if (!(outcome instanceof RunOutcome.LimitReached)) {
        spec.commandLine()
            .getErr()
            .printf("memvisor: the guest ended before that time: %s.%n", ending(outcome));
      }
      spec.commandLine().getOut().print(answer(machine));
      spec.commandLine().getOut().flush();
      return outcome instanceof RunOutcome.Died ? DIED : 0;
    }
  }

  private GuestVirtualAddress where(PcMachine machine) {
    String expression = code.isEmpty() ? address : code;
    return new GuestVirtualAddress(MonitorPrompt.evaluate(expression, machine.registers()));
  }

  private String answer(PcMachine machine) {
    Inspector inspector = new Inspector(machine);
    return code.isEmpty()
        ? inspector.explain(where(machine)).toString()
        : inspector.code(where(machine));
  }

  private RunOutcome run(PcMachine machine) {
    long until = after.orElse(guest.name().isPresent() ? KERNEL_TIME : BUILTIN_TIME).toNanos();
    Progress progress = Progress.onStandardError();
    RunOutcome outcome = new RunOutcome.LimitReached();
    while (outcome instanceof RunOutcome.LimitReached && machine.clock().nanos() < until) {
      long left = until - machine.clock().nanos();
      outcome = machine.run(Math.min(left, SLICE_INSTRUCTIONS), Long.MAX_VALUE);
      progress.share("the guest runs", machine.clock().nanos(), until);
    }
    progress.endLine();
    return outcome;
  }

  private static String ending(RunOutcome outcome) {
    return switch (outcome) {
      case RunOutcome.PoweredOff off -> "it powered off";
      case RunOutcome.Reset reset -> "it reset itself";
      case RunOutcome.DebugExit exit -> "it was done";
      case RunOutcome.Died death -> "it died: " + death.reason();
      case RunOutcome.LimitReached limit -> "the time is over";
      case RunOutcome.Stopped stopped -> "it was stopped";
    };
  }
}
