package memvisor.app.cli.run;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import memvisor.app.cli.monitor.ConsoleKeys;
import memvisor.app.cli.monitor.MonitorPrompt;
import memvisor.app.cli.monitor.MonitorServer;
import memvisor.boot.BootRequest;
import memvisor.device.ByteSink;
import memvisor.host.HostMemory;
import memvisor.machine.ExitReason;
import memvisor.machine.RunOutcome;
import memvisor.machine.TranslationStatistics;
import memvisor.machine.VirtualMachine;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.machine.xen.XenConfiguration;
import memvisor.machine.xen.XenMachine;
import memvisor.mmu.TechniqueStatistics;
import memvisor.tlb.TlbCounters;

/** Runs one guest with its console on standard input and output until it ends. */
public final class GuestRun {
  /** Room for the machine-to-physical table beside a domain's memory. */
  private static final long DOMAIN_TABLES_BYTES = 64L << 20;

  private final Builder builder;
  private final BootRequest request;
  private final long maxNanos;
  private final Optional<Path> monitorSocket;
  private final HostSetup setup;

  /** Builds the machine that runs. */
  @FunctionalInterface
  private interface Builder {
    VirtualMachine build(HostMemory host, ByteSink console);
  }

  private GuestRun(
      Builder builder,
      BootRequest request,
      long maxNanos,
      Optional<Path> monitorSocket,
      HostSetup setup) {
    this.builder = builder;
    this.request = request;
    this.maxNanos = maxNanos;
    this.monitorSocket = monitorSocket;
    this.setup = setup;
  }

  /**
   * A run of a PC that is given up after {@code maxNanos} of wall time.
   *
   * @param monitorSocket where the monitor prompt listens meanwhile
   * @param setup the machine memory
   */
  public static GuestRun ofPc(
      PcConfiguration configuration,
      BootRequest request,
      long maxNanos,
      Optional<Path> monitorSocket,
      HostSetup setup) {
    return new GuestRun(
        (host, console) -> new PcMachine(configuration, host, console, value -> {}),
        request,
        maxNanos,
        monitorSocket,
        setup);
  }

  /** A run of a domain; the kernel is unpacked first. */
  public static GuestRun ofDomain(
      XenConfiguration configuration,
      BootRequest request,
      long maxNanos,
      Optional<Path> monitorSocket) {
    return new GuestRun(
        (host, console) -> new XenMachine(configuration, host, console),
        KernelPayload.unpacked(request),
        maxNanos,
        monitorSocket,
        new HostSetup(2 * configuration.memoryBytes() + DOMAIN_TABLES_BYTES, Optional.empty()));
  }

  /**
   * What a run leaves behind.
   *
   * @param outcome how it ended
   * @param panic what the kernel said when it panicked
   * @param instructions guest instructions retired
   * @param wallNanos host time
   * @param exits VM exits by reason
   * @param tlb what the translation hardware counted
   * @param technique what the technique counted
   * @param translation what became of its code
   * @param postMortem registers and last exits, for a guest that died
   * @param memory the ledger's sums as a tree of maps, empty where there is none
   */
  public record Report(
      RunOutcome outcome,
      Optional<String> panic,
      long instructions,
      long wallNanos,
      Map<ExitReason, Long> exits,
      TlbCounters tlb,
      TechniqueStatistics technique,
      TranslationStatistics translation,
      String postMortem,
      Map<String, Object> memory) {
    Report with(Map<String, Object> newMemory) {
      return new Report(
          outcome,
          panic,
          instructions,
          wallNanos,
          exits,
          tlb,
          technique,
          translation,
          postMortem,
          newMemory);
    }
  }

  /** Runs the guest. */
  public Report run() {
    Stopper stopper = new Stopper();
    ConsoleWatch console = new ConsoleWatch(System.out, stopper::stop);
    try (HostMemory host = setup.create();
        VirtualMachine machine = builder.build(host, console)) {
      stopper.machine = Optional.of(machine);
      machine.boot(request);
      return runMonitored(machine, console).with(MemoryReport.of(host, machine.memory()));
    }
  }

  private Report runMonitored(VirtualMachine machine, ConsoleWatch console) {
    if (monitorSocket.isEmpty()) {
      return run(machine, console);
    }
    MonitorServer server = MonitorServer.open(monitorSocket.get(), new MonitorPrompt(machine));
    try {
      return run(machine, console);
    } finally {
      server.close();
    }
  }

  private Report run(VirtualMachine machine, ConsoleWatch console) {
    Optional<Terminal> terminal = Terminal.raw();
    long started = System.nanoTime();
    RunOutcome outcome;
    try {
      new KeyboardInput(System.in, keys(machine, terminal.isPresent())).start();
      outcome = console.runFlushing(machine::run, maxNanos);
    } finally {
      console.flush();
      terminal.ifPresent(Terminal::close);
    }
    return new Report(
        outcome,
        console.panic(),
        machine.instructions(),
        System.nanoTime() - started,
        machine.exits().counts(),
        machine.unit().counters(),
        machine.statistics(),
        machine.translation(),
        machine.postMortem(),
        Map.of());
  }

  /** On a terminal some keys are ours; a pipe belongs to the guest as a whole. */
  private static Consumer<byte[]> keys(VirtualMachine machine, boolean terminal) {
    return terminal
        ? new ConsoleKeys(machine, GuestRun::showOnTerminal)::typed
        : machine::sendSerial;
  }

  private static void showOnTerminal(String text) {
    System.out.print(text);
    System.out.flush();
  }

  /** Breaks the circle between the console, which stops the machine, and the machine. */
  private static final class Stopper {
    private Optional<VirtualMachine> machine = Optional.empty();

    void stop() {
      machine.ifPresent(VirtualMachine::stop);
    }
  }
}
