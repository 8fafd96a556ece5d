package memvisor.app.cli.host;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmException;
import memvisor.machine.fleet.VmHost;

/** Does what requests ask of a host. From any thread. */
final class HostControl {
  private static final long LONGEST_GRACE_SECONDS = 3600;

  private final VmHost host;
  private final Map<String, Command> commands = new TreeMap<>();

  /** Does a command and returns its result, a record. */
  private interface Command {
    Object execute(Request request) throws InterruptedException;
  }

  HostControl(VmHost host) {
    this.host = host;
    commands.put("ps", request -> HostView.of(host));
    commands.put("start", this::start);
    commands.put("stop", this::stop);
    commands.put("pause", this::pause);
    commands.put("resume", this::resume);
    commands.put("ledger", this::ledger);
    commands.put("stat", this::stat);
    commands.put("explain", this::explain);
    commands.put("why-slow", request -> SlowReport.of(host, vm(request)));
    commands.put("balloon", this::balloon);
  }

  /**
   * The result of a request.
   *
   * @throws VmException if a VM cannot do it now
   * @throws IllegalArgumentException if the request makes no sense
   */
  Object execute(Request request) throws InterruptedException {
    Command command = commands.get(request.command());
    if (command == null) {
      throw new IllegalArgumentException(
          "there is no command '%s'; there are console, %s"
              .formatted(
                  Request.shortened(request.command()), String.join(", ", commands.keySet())));
    }
    return command.execute(request);
  }

  /** The VM a request is about. */
  Vm vm(Request request) {
    String name =
        request
            .vm()
            .orElseThrow(
                () -> new IllegalArgumentException(request.command() + " needs a VM's name"));
    return host.find(name)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "there is no VM '%s'; there are %s"
                        .formatted(Request.shortened(name), names())));
  }

  private String names() {
    String names = host.vms().stream().map(Vm::name).limit(20).collect(Collectors.joining(", "));
    return host.vms().size() > 20 ? names + ", ..." : names;
  }

  /**
   * What became of a VM.
   *
   * @param vm its name
   * @param state its state now
   * @param note more about it, or nothing
   */
  record Changed(String vm, String state, String note) {
    static Changed of(Vm vm) {
      return new Changed(
          vm.name(), vm.state().word(), vm.end().map(end -> end.sentence()).orElse(""));
    }

    /** One line. */
    String text() {
      return "%s is %s%s\n".formatted(vm, state, note.isEmpty() ? "" : ": " + note);
    }
  }

  private Object ledger(Request request) {
    return request.vm().isEmpty() ? LedgerView.of(host) : VmLedgerView.of(host, vm(request));
  }

  private Object stat(Request request) {
    return request.vm().isEmpty() ? StatView.of(host) : StatView.of(vm(request));
  }

  private Object explain(Request request) {
    long gva =
        request
            .number(Request.ADDRESS)
            .orElseThrow(() -> new IllegalArgumentException("explain needs an address"));
    return ExplainView.of(vm(request), gva);
  }

  /** Asks for a size, if one is given, and says how big the balloon is. */
  private Object balloon(Request request) {
    Vm vm = vm(request);
    if (request.number(Request.BYTES).isPresent()) {
      long bytes = request.number(Request.BYTES).getAsLong();
      long memory = vm.spec().configuration().memoryBytes();
      if (bytes < 1 << 20 || bytes > memory) {
        throw new IllegalArgumentException(
            "leave %s between 1 MiB and the %s MiB that it has".formatted(vm.name(), memory >> 20));
      }
      vm.resize(bytes);
    }
    return BalloonAnswer.of(host, vm);
  }

  private Changed start(Request request) throws InterruptedException {
    Vm vm = vm(request);
    vm.start();
    vm.awaitStarted();
    return Changed.of(vm);
  }

  private Changed stop(Request request) throws InterruptedException {
    Vm vm = vm(request);
    if (vm.state().isOff()) {
      throw new VmException("%s is %s already".formatted(vm.name(), vm.state().word()));
    }
    long grace = request.number(Request.GRACE_SECONDS).orElse(0);
    if (grace < 0 || grace > LONGEST_GRACE_SECONDS) {
      throw new IllegalArgumentException(
          "graceSeconds is 0 to %d".formatted(LONGEST_GRACE_SECONDS));
    }
    if (grace > 0) {
      vm.pressPowerButton();
      if (vm.awaitEnd(Duration.ofSeconds(grace))) {
        return Changed.of(vm);
      }
    }
    vm.switchOff();
    if (!vm.awaitEnd(Duration.ofSeconds(30))) {
      throw new VmException(vm.name() + " has not ended after 30 s; try again");
    }
    return Changed.of(vm);
  }

  private Changed pause(Request request) {
    Vm vm = vm(request);
    vm.pause();
    return Changed.of(vm);
  }

  private Changed resume(Request request) {
    Vm vm = vm(request);
    vm.resume();
    return Changed.of(vm);
  }
}
