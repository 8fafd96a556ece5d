package memvisor.app.cli;

import java.time.Duration;
import java.util.concurrent.Callable;
import memvisor.app.cli.host.Asking;
import memvisor.app.cli.host.ConsoleSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The commands that change what one VM of a running host does. */
final class VmCommands {
  private VmCommands() {}

  /** A command about one VM. */
  abstract static class OfOneVm extends HostQueries.Query {
    @Parameters(paramLabel = "VM", description = "The VM's name, as memvisor ps lists it.")
    private String vm = "";

    abstract String ask(Asking asking, String vmName);

    @Override
    String ask(Asking asking) {
      return ask(asking, vm);
    }
  }

  /** {@code memvisor start}. */
  @Command(
      name = "start",
      mixinStandardHelpOptions = true,
      description = "Starts a VM of a running host.",
      footer = {"", "Example:", "  memvisor start web-1"})
  static final class Start extends OfOneVm {
    @Override
    String ask(Asking asking, String vmName) {
      return asking.change("start", vmName);
    }
  }

  /** {@code memvisor stop}. */
  @Command(
      name = "stop",
      mixinStandardHelpOptions = true,
      description =
          "Stops a VM of a running host: presses its power button and, if the guest does not heed"
              + " it in time, switches it off.",
      footer = {"", "Examples:", "  memvisor stop web-1", "  memvisor stop web-1 --grace 0s"})
  static final class Stop extends OfOneVm {
    @Option(
        names = "--grace",
        paramLabel = "TIME",
        description = "How long the guest has (default: 10s; 0s switches it off at once).")
    private String grace = "10s";

    @Override
    String ask(Asking asking, String vmName) {
      Duration time =
          grace.matches("0(ms|s|m|h)?")
              ? Duration.ZERO
              : new Quantities.TimeConverter().convert(grace);
      return asking.stop(vmName, time.toSeconds());
    }
  }

  /** {@code memvisor pause}. */
  @Command(
      name = "pause",
      mixinStandardHelpOptions = true,
      description = "Holds a VM of a running host, and its clock.",
      footer = {"", "Example:", "  memvisor pause web-1"})
  static final class Pause extends OfOneVm {
    @Override
    String ask(Asking asking, String vmName) {
      return asking.change("pause", vmName);
    }
  }

  /** {@code memvisor resume}. */
  @Command(
      name = "resume",
      mixinStandardHelpOptions = true,
      description = "Lets a VM go on that memvisor pause held.",
      footer = {"", "Example:", "  memvisor resume web-1"})
  static final class Resume extends OfOneVm {
    @Override
    String ask(Asking asking, String vmName) {
      return asking.change("resume", vmName);
    }
  }

  /** {@code memvisor console}. */
  @Command(
      name = "console",
      mixinStandardHelpOptions = true,
      description =
          "Connects to the serial console of a VM of a running host: shows what it printed last,"
              + " then what it prints; what you type goes to its guest. Ctrl-A x leaves it.",
      footer = {
        "",
        "Examples:",
        "  memvisor console web-1",
        "  echo 'free -m' | memvisor console web-1     ends when the guest has been quiet for 2 s"
      })
  static final class Console implements Callable<Integer> {
    @Mixin private SocketOptions host = new SocketOptions();

    @Parameters(paramLabel = "VM", description = "The VM's name, as memvisor ps lists it.")
    private String vm = "";

    @Override
    public Integer call() throws InterruptedException {
      ConsoleSession.show(host.path(), vm, System.in, System.out);
      return 0;
    }
  }
}
