package memvisor.app.cli.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Optional;
import memvisor.app.cli.monitor.PlainKeys;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.machine.RunOutcome;
import memvisor.machine.xen.XenConfiguration;
import memvisor.machine.xen.XenMachine;

/** Runs one paravirtual guest with its console on standard input and output until it ends. */
public final class DomainRun {
  /** Room for the machine-to-physical table beside guest memory. */
  private static final long TABLES_BYTES = 64L << 20;

  private final XenConfiguration configuration;
  private final BootRequest request;
  private final long maxNanos;

  /** A run that is given up after {@code maxNanos} of wall time. */
  public DomainRun(XenConfiguration configuration, BootRequest request, long maxNanos) {
    this.configuration = configuration;
    this.request = request;
    this.maxNanos = maxNanos;
  }

  /** Unpacks the kernel and runs the guest. */
  public GuestRun.Report run() {
    Stopper stopper = new Stopper();
    ConsoleWatch console = new ConsoleWatch(System.out, stopper::stop);
    try (HostMemory host = HostMemory.create(2 * configuration.memoryBytes() + TABLES_BYTES);
        XenMachine machine = new XenMachine(configuration, host, console)) {
      stopper.machine = Optional.of(machine);
      machine.boot(unpacked());
      return run(machine, console);
    }
  }

  private BootRequest unpacked() {
    try {
      return BootRequest.of(KernelPayload.unpack(request.image()))
          .withInitrd(request.initrd())
          .withCommandLine(request.commandLine());
    } catch (IOException impossible) {
      throw new UncheckedIOException("reading from memory", impossible);
    }
  }

  private GuestRun.Report run(XenMachine machine, ConsoleWatch console) {
    Optional<Terminal> terminal = Terminal.raw();
    long started = System.nanoTime();
    RunOutcome outcome;
    try {
      PlainKeys keys = new PlainKeys(machine::sendSerial, machine::stop, GuestRun::showOnTerminal);
      new KeyboardInput(System.in, terminal.isPresent() ? keys::typed : machine::sendSerial)
          .start();
      outcome = console.runFlushing(machine::run, maxNanos);
    } finally {
      console.flush();
      terminal.ifPresent(Terminal::close);
    }
    return new GuestRun.Report(
        outcome,
        console.panic(),
        machine.instructions(),
        System.nanoTime() - started,
        machine.exits().counts(),
        machine.unit().counters(),
        machine.statistics(),
        postMortem(machine),
        Map.of());
  }

  private static String postMortem(XenMachine machine) {
    StringBuilder text = new StringBuilder(machine.registers().describe());
    text.append("\nlast exits:\n");
    machine.exits().last().forEach(exit -> text.append("  ").append(exit).append('\n'));
    text.append("last hypercalls that failed:\n");
    machine.failedHypercalls().forEach(call -> text.append("  ").append(call).append('\n'));
    return text.toString();
  }

  /** Breaks the circle between the console, which stops the machine, and the machine. */
  private static final class Stopper {
    private Optional<XenMachine> machine = Optional.empty();

    void stop() {
      machine.ifPresent(XenMachine::stop);
    }
  }
}
